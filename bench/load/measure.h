/* Clocks, histograms, and what processes use. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Log-linear as HdrHistogram's: 64 steps to each doubling, so that a value is off by at most 1.6 %. */
#define HISTOGRAM_STEP_BITS 6
#define HISTOGRAM_STEPS (1u << HISTOGRAM_STEP_BITS)

struct histogram {
    uint64_t count, max;
    uint64_t counts[(64 - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS];
};

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    unsigned bits = 63 - (unsigned)__builtin_clzll(value | HISTOGRAM_STEPS);
    unsigned shift = bits - HISTOGRAM_STEP_BITS;
    histogram->counts[(shift << HISTOGRAM_STEP_BITS) + (value >> shift)]++;
    histogram->count++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void histogram_add(struct histogram *sum, const struct histogram *histogram);
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

#define PROCESSES_MAX 16

/* What a set of processes has used since each began, and this process, and the machine. */
struct usage {
    uint64_t time_ns;
    uint64_t processes_ns; /* of all their threads, also of those that ended */
    uint64_t own_ns;
    uint64_t machine_busy_ticks;
};

struct memory {
    uint64_t resident_kb, anonymous_kb;
};

void processes_set(const int *pids, size_t count);
struct usage usage_now(void);
struct memory memory_now(void);

#endif
