#include "semload/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void wrong(const struct process *p, const char *format, ...)
{
    char line[256];
    int len = snprintf(line, sizeof(line), "%s: ", p->token);
    va_list arguments;

    va_start(arguments, format);
    len += vsnprintf(line + len, sizeof(line) - (size_t)len - 1, format, arguments);
    va_end(arguments);
    line[len++] = '\n';
    shared->wrong++;
    if (write(STDERR_FILENO, line, (size_t)len) != len)
        _exit(2);
}

struct seen {
    const struct claim *claim;
    int64_t until_us, slot;
};

static unsigned look(struct seen seen[MOST_SEEN])
{
    int64_t now = now_us();
    unsigned n = 0;

    for (unsigned i = 0; i < processes * CLAIMS && n < MOST_SEEN; i++) {
        const struct claim *claim = &shared->claims[i / CLAIMS][i % CLAIMS];
        int64_t until_us = claim->until_us;
        if (until_us > now)
            seen[n++] = (struct seen){claim, until_us, claim->slot};
    }
    return n;
}

/*
 * Claims come and go while one looks at them one after the other. Those that stand unchanged afterwards all stood at
 * the moment between.
 */
static unsigned look_twice(struct seen seen[MOST_SEEN])
{
    unsigned n = look(seen), stood = 0;
    int64_t moment = now_us();

    for (unsigned i = 0; i < n; i++)
        if (seen[i].until_us > moment && seen[i].claim->until_us == seen[i].until_us)
            seen[stood++] = seen[i];
    return stood;
}

static void judge_holders(const struct process *p)
{
    struct seen seen[MOST_SEEN];
    unsigned of_slot = 0, holders = look_twice(seen);

    for (unsigned i = 0; i < holders; i++)
        of_slot += seen[i].slot == p->claim->slot;
    if (holders > MAX_HOLDERS)
        wrong(p, "%u holders", holders);
    if (slots && of_slot > 1)
        wrong(p, "%u holders of slot %lld", of_slot, (long long)p->claim->slot);
    for (uint64_t most = shared->most; holders > most;)
        if (atomic_compare_exchange_weak(&shared->most, &most, holders))
            break;
}

/* Of holders of a slot that follow one another the later has the greater fence. */
static void judge_fence(const struct process *p, int64_t slot, int64_t fence)
{
    int64_t last = shared->fences[slot];

    while (last < fence && !atomic_compare_exchange_weak(&shared->fences[slot], &last, fence))
        ;
    if (last >= fence && now_us() < p->claim->until_us)
        wrong(p, "slot %lld: fence %lld after %lld", (long long)slot, (long long)fence, (long long)last);
}

void judge_grant(struct process *p, const int64_t fields[FIELDS], int64_t sent_us)
{
    int64_t asked_us = sent_us > fields[FENCE] ? sent_us : fields[FENCE];
    bool slot_is_right = slots ? fields[SLOT] >= 0 && fields[SLOT] < MAX_HOLDERS : fields[SLOT] == -1;

    if (!slot_is_right || fields[LEFT_MS] * 1000 > LEASE_MIN_US + LEASE_SPREAD_US + 1000 || fields[RETRY_MS] != -1)
        wrong(p, "granted slot %lld, %lld ms, retry %lld", (long long)fields[SLOT], (long long)fields[LEFT_MS],
              (long long)fields[RETRY_MS]);
    p->claim->slot = fields[SLOT];
    p->claim->until_us = asked_us + p->lease_us;
    judge_holders(p);
    if (slots && slot_is_right)
        judge_fence(p, fields[SLOT], fields[FENCE]);
}

/* The reply says that the place was gone already. */
void judge_gone(const struct process *p, const char *what, int64_t until_us)
{
    if (now_us() < until_us)
        wrong(p, "%s: gone %lld us before its end", what, (long long)(until_us - now_us()));
}
