#include "proxy/net/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef RESPGATE_SECCOMP
#include <assert.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
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
enum { PROGRAM_MAX = 192 };

/* Younger machines have the general form of these calls only. */
#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#define CALLS_BY_MACHINE SYS_epoll_wait, SYS_poll, SYS_unlink
#define DEADLY_BY_MACHINE SYS_creat, SYS_fork, SYS_vfork
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#define CALLS_BY_MACHINE SYS_epoll_pwait, SYS_ppoll, SYS_unlinkat
#define DEADLY_BY_MACHINE SYS_pidfd_send_signal
#else
#error "the option seccomp is for x86_64 and aarch64"
#endif

static const int allowed[] = {CALLS_BY_MACHINE,
                              /* bytes, descriptors, files that are read */
                              SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_close, SYS_ioctl, SYS_newfstatat,
                              /* sockets */
                              SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_socket, SYS_connect, SYS_accept4, SYS_shutdown,
                              SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
                              /* waiting, time, chance */
                              SYS_epoll_ctl, SYS_futex, SYS_sched_yield, SYS_restart_syscall, SYS_clock_gettime,
                              SYS_getrandom,
                              /* memory */
                              SYS_munmap, SYS_madvise, SYS_brk,
                              /* threads, signals, the end */
                              SYS_rseq, SYS_set_robust_list, SYS_getrusage, SYS_getpid, SYS_gettid, SYS_rt_sigaction,
                              SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_exit, SYS_exit_group};

/* Nothing of ours does that, so whoever does is not us. */
static const int deadly[] = {SYS_execve, SYS_execveat,     SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
                             SYS_kill,   DEADLY_BY_MACHINE};

/* In an array of its own: a library that builds filters asks for memory, and makes a wrong one when there is none. */
struct program {
    struct sock_filter at[PROGRAM_MAX];
    unsigned short n;
};

static void add(struct program *program, unsigned short code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
    assert(program->n < PROGRAM_MAX);
    program->at[program->n++] = (struct sock_filter){code, if_true, if_false, k};
}

static void answer(struct program *program, int call, uint32_t verdict)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
    add(program, BPF_RET | BPF_K, verdict, 0, 0);
}

/* The call is right while these bits of this argument are `value`, else `otherwise` happens. */
static void answer_masked(struct program *program, int call, unsigned argument, uint32_t mask, uint32_t value,
                          uint32_t otherwise)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 5);
    add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, args[0]) + 8 * argument, 0, 0);
    add(program, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    add(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    add(program, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    add(program, BPF_RET | BPF_K, otherwise, 0, 0);
}

static void answer_by_arguments(struct program *program)
{
    const uint32_t refuse = SECCOMP_RET_ERRNO | EPERM, unknown = SECCOMP_RET_ERRNO | ENOSYS;

    answer_masked(program, SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, SECCOMP_RET_KILL_PROCESS);
    answer_masked(program, SYS_clone, 0, CLONE_THREAD, CLONE_THREAD, SECCOMP_RET_KILL_PROCESS);
    /* Refused only: a library that would load code (OpenSSL, a provider) does without it. */
    answer_masked(program, SYS_mmap, 2, PROT_EXEC, 0, refuse);
    answer_masked(program, SYS_mprotect, 2, PROT_EXEC, 0, refuse);
    /* Limits are read, and only our own; abort(). */
    answer_masked(program, SYS_prlimit64, 0, UINT32_MAX, 0, unknown);
    answer_masked(program, SYS_tgkill, 0, UINT32_MAX, (uint32_t)getpid(), unknown);
}

/*
 * What is on no list fails as a call that this kernel does not have: libc then takes the older one it knows, as for
 * clone3, into whose arguments a filter cannot look. The kernel keeps what it always says yes to and runs no filter.
 */
static const char *filter_calls(void)
{
    struct program program = {.n = 0};
    struct sock_fprog loaded = {.filter = program.at};

    add(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    add(&program, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    add(&program, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    add(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        answer(&program, allowed[i], SECCOMP_RET_ALLOW);
    answer_by_arguments(&program);
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
        answer(&program, deadly[i], SECCOMP_RET_KILL_PROCESS);
    add(&program, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
    loaded.len = program.n;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded) ? strerror(errno) : NULL;
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
