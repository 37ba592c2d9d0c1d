/*
 * LD_PRELOAD: a program one of whose allocations fails. ALLOCFAIL_CONTROL names a file of three 64-bit numbers, shared
 * with the test that wrote it: `armed`, `fail_at` and `seen`. While it is armed allocations are counted in `seen`, and
 * the one with the number `fail_at` (the first is 1) gets no memory. Those of the program's libraries count as well.
 *
 * Whatever allocates beneath (libc, or a sanitizer's runtime) is found behind this library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
    _Atomic uint64_t armed, fail_at, seen;
};

static struct control *control;

/* Looked up by their names: a call of the compiler's choice must not come back to us. */
static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static int (*next_posix_memalign)(void **, size_t, size_t);

static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof(found));
}

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("ALLOCFAIL_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        control = mapped;
}

/* Whether this one is to fail. */
static bool fails(void)
{
    if (!control || !atomic_load(&control->armed))
        return false;
    if (atomic_fetch_add(&control->seen, 1) + 1 != atomic_load(&control->fail_at))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    if (!next_malloc)
        find(&next_malloc, "malloc");
    return fails() ? NULL : next_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    if (!next_calloc)
        find(&next_calloc, "calloc");
    return fails() ? NULL : next_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    if (!next_realloc)
        find(&next_realloc, "realloc");
    return fails() ? NULL : next_realloc(old, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    if (!next_posix_memalign)
        find(&next_posix_memalign, "posix_memalign");
    return fails() ? ENOMEM : next_posix_memalign(memory, alignment, size);
}

/* A sanitizer's runtime has its own of these, which would not ask us. */
char *strndup(const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

char *strdup(const char *text)
{
    return strndup(text, SIZE_MAX);
}
