#include "CShuffle.h"

#include <stdint.h>
#include <string.h>

// Elements that are worked on together where there is no faster way: 16 KiB of common sizes.
#define TILE 1024

typedef uint8_t vector __attribute__((vector_size(16)));

// Bytes of two vectors in turn: the first halves, and the second halves.
static inline vector low(vector a, vector b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static inline vector high(vector a, vector b) {
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// Interleaving the two halves of `count` vectors moves the top bit of each byte's
// index to its bottom. An index is (element, byte of it): as many rounds as the
// element number has bits make it (byte, element), and the byte's bits bring it back.
static inline __attribute__((always_inline)) void interleave(vector *v, int count, int rounds) {
    for (int round = 0; round < rounds; round++) {
        vector next[16];
        for (int i = 0; i < count / 2; i++) {
            next[2 * i] = low(v[i], v[i + count / 2]);
            next[2 * i + 1] = high(v[i], v[i + count / 2]);
        }
        for (int i = 0; i < count; i++) v[i] = next[i];
    }
}

// 16 elements of `size` bytes, 2 to 16, at a time. Returns how many elements are done.
static inline __attribute__((always_inline)) size_t split_vectors(
    const uint8_t *from, uint8_t *to, size_t count, int size) {
    size_t done = 0;
    for (; done + 16 <= count; done += 16) {
        vector v[16];
        memcpy(v, from + done * size, 16 * size);
        interleave(v, size, 4);
        for (int b = 0; b < size; b++) memcpy(to + b * count + done, &v[b], 16);
    }
    return done;
}

static inline __attribute__((always_inline)) size_t join_vectors(
    const uint8_t *from, uint8_t *to, size_t count, int size, int bits) {
    size_t done = 0;
    for (; done + 16 <= count; done += 16) {
        vector v[16];
        for (int b = 0; b < size; b++) memcpy(&v[b], from + b * count + done, 16);
        interleave(v, size, bits);
        memcpy(to + done * size, v, 16 * size);
    }
    return done;
}

void cshuffle_split(const void *source, void *target, size_t length, size_t size) {
    const uint8_t *from = source;
    uint8_t *to = target;
    size_t count = length / size;
    size_t done = 0;
    switch (size) {
    case 2: done = split_vectors(from, to, count, 2); break;
    case 4: done = split_vectors(from, to, count, 4); break;
    case 8: done = split_vectors(from, to, count, 8); break;
    case 16: done = split_vectors(from, to, count, 16); break;
    }
    for (; done < count; done += TILE) {
        size_t end = count - done < TILE ? count : done + TILE;
        for (size_t b = 0; b < size; b++)
            for (size_t e = done; e < end; e++) to[b * count + e] = from[e * size + b];
    }
    memcpy(to + count * size, from + count * size, length - count * size);
}

void cshuffle_join(const void *source, void *target, size_t length, size_t size) {
    const uint8_t *from = source;
    uint8_t *to = target;
    size_t count = length / size;
    size_t done = 0;
    switch (size) {
    case 2: done = join_vectors(from, to, count, 2, 1); break;
    case 4: done = join_vectors(from, to, count, 4, 2); break;
    case 8: done = join_vectors(from, to, count, 8, 3); break;
    case 16: done = join_vectors(from, to, count, 16, 4); break;
    }
    for (; done < count; done += TILE) {
        size_t end = count - done < TILE ? count : done + TILE;
        for (size_t b = 0; b < size; b++)
            for (size_t e = done; e < end; e++) to[e * size + b] = from[b * count + e];
    }
    memcpy(to + count * size, from + count * size, length - count * size);
}
