#include "proxy/net/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef RESPGATE_SECCOMP
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#endif

#include "proxy/net/log.h"

/* NULL: done. */
static const char *drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return strerror(errno);
    return syscall(SYS_capset, &header, none) ? strerror(errno) : NULL;
}

#ifdef RESPGATE_SECCOMP
/* Younger machines have the general form of these calls only. */
#ifdef SYS_epoll_wait
#define CALLS_BY_MACHINE SCMP_SYS(epoll_wait), SCMP_SYS(poll), SCMP_SYS(unlink)
#else
#define CALLS_BY_MACHINE SCMP_SYS(epoll_pwait), SCMP_SYS(ppoll), SCMP_SYS(unlinkat)
#endif

static const int allowed[] = {
    CALLS_BY_MACHINE,
    /* sockets */
    SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(accept4), SCMP_SYS(shutdown), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    /* bytes, descriptors, files that are read */
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(ioctl),
    SCMP_SYS(newfstatat),
    /* waiting, time, chance */
    SCMP_SYS(epoll_ctl), SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime),
    SCMP_SYS(getrandom),
    /* memory */
    SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(brk),
    /* threads, signals, the end */
    SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(getrusage), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group)};

/* Nothing of ours does that, so whoever does is not us. */
static const int deadly[] = {SCMP_SYS(execve),
                             SCMP_SYS(execveat),
                             SCMP_SYS(ptrace),
                             SCMP_SYS(process_vm_readv),
                             SCMP_SYS(process_vm_writev),
                             SCMP_SYS(fork),
                             SCMP_SYS(vfork),
                             SCMP_SYS(creat),
                             SCMP_SYS(kill)};

static int add_lists(scmp_filter_ctx filter)
{
    int wrong = 0;

    for (size_t i = 0; !wrong && i < sizeof(allowed) / sizeof(allowed[0]); i++)
        wrong = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; !wrong && i < sizeof(deadly) / sizeof(deadly[0]); i++)
        wrong = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    return wrong;
}

/* The call is right while these bits of this argument are `value`, else `otherwise` happens. */
static int add_masked(scmp_filter_ctx filter, int call, unsigned argument, uint64_t mask, uint64_t value,
                      uint32_t otherwise)
{
    const struct scmp_arg_cmp right = {argument, SCMP_CMP_MASKED_EQ, mask, value};
    int wrong = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &right);

    /* One rule for each bit that may be wrong: the library knows no "masked, not equal". */
    for (uint64_t bit = 1; !wrong && bit && bit <= mask; bit <<= 1) {
        const struct scmp_arg_cmp bad = {argument, SCMP_CMP_MASKED_EQ, bit, ~value & bit};
        if (mask & bit)
            wrong = seccomp_rule_add_array(filter, otherwise, call, 1, &bad);
    }
    return wrong;
}

static int add_arguments(scmp_filter_ctx filter)
{
    const uint64_t to_write = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    const uint32_t kill_process = SCMP_ACT_KILL_PROCESS, refuse = SCMP_ACT_ERRNO(EPERM);
    int wrong = add_masked(filter, SCMP_SYS(openat), 2, to_write, 0, kill_process);

    if (!wrong)
        wrong = add_masked(filter, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD, kill_process);
    /* Refused only: a library that would load code (OpenSSL, a provider) does without it. */
    if (!wrong)
        wrong = add_masked(filter, SCMP_SYS(mmap), 2, PROT_EXEC, 0, refuse);
    if (!wrong)
        wrong = add_masked(filter, SCMP_SYS(mprotect), 2, PROT_EXEC, 0, refuse);
    /* Limits are read, and only our own. */
    if (!wrong)
        wrong = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
    /* abort() */
    if (!wrong)
        wrong = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid()));
    return wrong;
}

/*
 * What is on no list fails as a call that this kernel does not have: libc then takes the older one it knows, as for
 * clone3, into whose arguments a filter cannot look.
 */
static const char *filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int wrong = filter ? add_lists(filter) : -ENOMEM;

    if (!wrong)
        wrong = add_arguments(filter);
    /* A binary search instead of a long walk; the kernel answers most calls of ours without running it at all. */
    if (!wrong)
        wrong = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!wrong)
        wrong = seccomp_load(filter);
    seccomp_release(filter);
    return wrong ? strerror(-wrong) : NULL;
}
#else
static const char *filter_calls(void)
{
    return "not built in";
}
#endif

void confine(void)
{
    const char *kept = drop_capabilities(), *unfiltered = filter_calls();

    log_write(kept ? LOG_WARN : LOG_INFO, "confined", LOG_TEXT("capabilities", kept ? kept : "none"),
              LOG_TEXT("seccomp", unfiltered ? unfiltered : "on"));
}
