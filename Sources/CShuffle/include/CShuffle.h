// Byte shuffle: the first bytes of all elements, then the second bytes, and so
// on. Neighbours in an array have similar high bytes, which then lie side by side.

#ifndef CSHUFFLE_H
#define CSHUFFLE_H

#include <stddef.h>

// Shuffles `length` bytes of elements of `size` bytes; what makes no whole element stays at the end.
void cshuffle_split(const void *_Nonnull from, void *_Nonnull to, size_t length, size_t size);

// The reverse.
void cshuffle_join(const void *_Nonnull from, void *_Nonnull to, size_t length, size_t size);

#endif
