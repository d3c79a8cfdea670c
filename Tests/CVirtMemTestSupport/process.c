// What a test changes of its own process.

#include "CVirtMemTestSupport.h"

#include <errno.h>
#include <sched.h>

int support_use_one_processor(void) {
    cpu_set_t usable, one;
    if (sched_getaffinity(0, sizeof usable, &usable)) return errno;
    int first = 0;
    while (!CPU_ISSET(first, &usable)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    return sched_setaffinity(0, sizeof one, &one) ? errno : 0;
}
