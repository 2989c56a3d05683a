/* Clocks, histograms, and what processes use. */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int processes[PROCESSES_MAX];
static size_t process_count;

void processes_set(const int *pids, size_t count)
{
    memcpy(processes, pids, count * sizeof *pids);
    process_count = count;
}

void histogram_add(struct histogram *sum, const struct histogram *histogram)
{
    for (size_t i = 0; i < sizeof sum->counts / sizeof *sum->counts; i++) {
        sum->counts[i] += histogram->counts[i];
    }
    sum->count += histogram->count;
    sum->max = histogram->max > sum->max ? histogram->max : sum->max;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * quantile), seen = 0;
    for (size_t i = 0; i < sizeof histogram->counts / sizeof *histogram->counts; i++) {
        seen += histogram->counts[i];
        if (seen > wanted) {
            unsigned shift = i < 2 * HISTOGRAM_STEPS ? 0 : (unsigned)(i >> HISTOGRAM_STEP_BITS) - 1;
            uint64_t top = ((uint64_t)i - ((uint64_t)shift << HISTOGRAM_STEP_BITS) + 1) << shift;
            return top - 1 < histogram->max ? top - 1 : histogram->max;
        }
    }
    return histogram->max;
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time = { 0, 0 };
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct usage usage_now(void)
{
    struct usage usage = { .time_ns = now_ns(), .own_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID) };
    for (size_t i = 0; i < process_count; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(processes[i], &clock) == 0) {
            usage.processes_ns += read_clock(clock);
        }
    }
    FILE *file = fopen("/proc/stat", "r");
    if (file != NULL) {
        unsigned long long user, nice, system, idle, wait, interrupt, soft;
        if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &interrupt, &soft) == 7) {
            usage.machine_busy_ticks = user + nice + system + interrupt + soft;
        }
        fclose(file);
    }
    return usage;
}

struct memory memory_now(void)
{
    struct memory memory = { 0, 0 };
    char path[64], line[256];
    for (size_t i = 0; i < process_count; i++) {
        snprintf(path, sizeof path, "/proc/%d/status", processes[i]);
        FILE *file = fopen(path, "r");
        if (file == NULL) {
            continue;
        }
        unsigned long long value;
        while (fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "VmRSS: %llu", &value) == 1) {
                memory.resident_kb += value;
            } else if (sscanf(line, "RssAnon: %llu", &value) == 1) {
                memory.anonymous_kb += value;
            }
        }
        fclose(file);
    }
    return memory;
}
