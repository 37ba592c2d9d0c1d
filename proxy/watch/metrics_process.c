/* What every program tells of itself under the names Prometheus' clients agreed on. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/watch/metrics.h"

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage))
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long size = 0, resident = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Linux tells the number as the directory's size since 6.2; before, they must be counted. */
static double open_descriptors(void)
{
    struct stat status;
    double n = 0;
    DIR *directory;

    if (!stat("/proc/self/fd", &status) && status.st_size > 0)
        return (double)status.st_size;
    directory = opendir("/proc/self/fd");
    while (directory && readdir(directory))
        n++;
    if (directory)
        closedir(directory);
    return n > 3 ? n - 3 : 0; /* . and .. and its own */
}

void metrics_write_process(struct metric_out *out, int64_t started_ms)
{
    struct rlimit limit = {0};

    getrlimit(RLIMIT_NOFILE, &limit);
    out->prefix = "process_";
    metric_single(out, "cpu_seconds", METRIC_COUNTER, "Time on processors, user and system.", cpu_seconds());
    metric_single(out, "resident_memory_bytes", METRIC_GAUGE, "Memory in use.", resident_bytes());
    metric_single(out, "open_fds", METRIC_GAUGE, "Open descriptors.", open_descriptors());
    metric_single(out, "max_fds", METRIC_GAUGE, "Descriptors it may have open.", (double)limit.rlim_cur);
    metric_single(out, "start_time_seconds", METRIC_GAUGE, "When it started.", (double)started_ms / 1000);
    out->prefix = "respgate_";
}
