/* What a confined process is refused, and that it is the refusal that ends it. Each case confines a child of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/net/confine.h"
#include "proxy/net/log.h"

enum { OTHERWISE = 77 }; /* the exit code of an act that was not refused, and that nobody was killed for */

/* How a child ends that does `act` once it is confined, or before. */
static int end_of(bool confined, int (*act)(void))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (!child) {
        log_setup(LOG_ERROR, false);
        if (confined)
            confine();
        _exit(act());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_killed_for(int (*act)(void))
{
    int status = end_of(true, act);

    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = end_of(false, act);
    assert_true(WIFEXITED(status)); /* so that it is the confinement that kills */
}

static void assert_fine(int (*act)(void))
{
    int status = end_of(true, act);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int run_a_program(void)
{
    execl("/bin/true", "true", NULL);
    return OTHERWISE;
}

static int run_a_program_by_descriptor(void)
{
    return (int)syscall(SYS_execveat, open("/bin/true", O_RDONLY), "", NULL, NULL, AT_EMPTY_PATH);
}

static int make_a_process(void)
{
    pid_t child = fork();

    if (!child)
        _exit(0);
    waitpid(child, NULL, 0);
    return OTHERWISE;
}

static int write_a_file(void)
{
    return open("/dev/null", O_WRONLY) < 0 ? 1 : OTHERWISE;
}

static int create_a_file(void)
{
    char path[] = "/tmp/confine-XXXXXX";

    if (mkstemp(path) >= 0)
        unlink(path);
    return OTHERWISE;
}

static int create_the_old_way(void)
{
    return syscall(SYS_creat, "/nowhere/at/all", 0600) < 0 ? OTHERWISE : 1;
}

static int trace_a_process(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : OTHERWISE;
}

static int read_a_process(void)
{
    return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) ? 1 : OTHERWISE;
}

static int signal_a_process(void)
{
    return kill(getppid(), 0) ? 1 : OTHERWISE;
}

static void test_what_kills(void **state)
{
    (void)state;
    assert_killed_for(run_a_program);
    assert_killed_for(run_a_program_by_descriptor);
    assert_killed_for(make_a_process);
    assert_killed_for(write_a_file);
    assert_killed_for(create_a_file);
    assert_killed_for(create_the_old_way);
    assert_killed_for(trace_a_process);
    assert_killed_for(read_a_process);
    assert_killed_for(signal_a_process);
}

/* The refusals after which a library goes on by other means. */
static int try_what_is_refused(void)
{
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct rlimit limit = {1, 1};

    if (code != MAP_FAILED || errno != EPERM)
        return 1;
    if (data == MAP_FAILED || !mprotect(data, 4096, PROT_READ | PROT_EXEC) || errno != EPERM)
        return 2;
    if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
        return 3;
    if (syscall(SYS_setuid, 12345) != -1 || errno != ENOSYS)
        return 4;
    return syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, &limit, NULL) == -1 && errno == ENOSYS ? 0 : 5;
}

static void *end_at_once(void *arg)
{
    return arg;
}

static int do_the_work(void)
{
    struct rlimit limit;
    pthread_t thread;
    int file = open("/etc/hostname", O_RDONLY | O_CLOEXEC), inet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (file < 0 || inet < 0 || close(file) || close(inet))
        return 1;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 2;
    return pthread_create(&thread, NULL, end_at_once, NULL) || pthread_join(thread, NULL) ? 3 : 0;
}

static int fail_an_assertion(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void test_what_does_not_kill(void **state)
{
    int status;

    (void)state;
    assert_fine(try_what_is_refused);
    assert_fine(do_the_work);
    status = end_of(true, fail_an_assertion);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Of root as well. */
static int count_capabilities(void)
{
    char line[128];
    FILE *status = fopen("/proc/self/status", "re");
    int found = 0;

    while (status && fgets(line, sizeof(line), status)) {
        bool is_set = !strncmp(line, "CapInh:", 7) || !strncmp(line, "CapPrm:", 7) || !strncmp(line, "CapEff:", 7);
        if (is_set && strtoull(line + 7, NULL, 16) == 0)
            found++;
        found += !strncmp(line, "NoNewPrivs:\t1", 13);
    }
    return found == 4 ? 0 : 1;
}

static void test_no_capability_is_left(void **state)
{
    (void)state;
    assert_fine(count_capabilities);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_kills),
        cmocka_unit_test(test_what_does_not_kill),
        cmocka_unit_test(test_no_capability_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
