#include "protocol/own_command.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "protocol/glob.h"

#define ALL(array) array, sizeof array / sizeof array[0]

/* clang-format off */
#define KEY             {.name = "key", .type = OWN_KEY}
#define KEYS            {.name = "key", .type = OWN_KEY, .multiple = true}
#define TEXT(what)      {.name = what, .type = OWN_STRING}
#define TEXTS(what)     {.name = what, .type = OWN_STRING, .multiple = true}
#define NUMBER(what)    {.name = what, .type = OWN_INTEGER}
#define MAYBE_NUMBER(what)       {.name = what, .type = OWN_INTEGER, .optional = true}
#define NUMBER_AFTER(word, what) {.name = what, .token = word, .type = OWN_INTEGER}
#define MAYBE_NUMBER_AFTER(word, what) {.name = what, .token = word, .type = OWN_INTEGER, .optional = true}
#define MAYBE_TEXT_AFTER(word, what)   {.name = what, .token = word, .type = OWN_STRING, .optional = true}
#define WORD(what, word)         {.name = what, .token = word, .type = OWN_TOKEN}
#define MAYBE_WORD(what, word)   {.name = what, .token = word, .type = OWN_TOKEN, .optional = true}
#define TYPED_AFTER(word, what, t)     {.name = what, .token = word, .type = t}
#define BLOCK(what, word, array) {what, word, ALL(array), OWN_BLOCK, false, false}
#define MAYBE_ONE_OF(what, word, array) {what, word, ALL(array), OWN_ONE_OF, true, false}
#define ONE_OF(what, array)      {what, NULL, ALL(array), OWN_ONE_OF, false, false}
#define EACH_OF(what, array)     {what, NULL, ALL(array), OWN_ONE_OF, false, true}
/* clang-format on */

#define COST MAYBE_NUMBER_AFTER("COST", "cost")
#define DELAY MAYBE_NUMBER_AFTER("DELAY", "milliseconds")
#define WAIT MAYBE_NUMBER_AFTER("WAIT", "milliseconds")
#define IDEM MAYBE_TEXT_AFTER("IDEM", "id")
#define FIFO MAYBE_WORD("fifo", "FIFO")
#define SLOTS MAYBE_WORD("slots", "SLOTS")
#define ALIGN MAYBE_ONE_OF("alignment", "ALIGN", alignments)
#define METHOD MAYBE_ONE_OF("method", NULL, methods)
#define RATE NUMBER("limit"), NUMBER("count"), NUMBER("period-ms")
#define WINDOW NUMBER("limit"), NUMBER("window-ms")

static const struct own_argument alignments[] = {WORD("first", "FIRST"), WORD("epoch", "EPOCH")};
static const struct own_argument methods[] = {WORD("log", "LOG"), WORD("counter", "COUNTER")};
static const struct own_argument gcra_modes[] = {WORD("peek", "PEEK"), WORD("partial", "PARTIAL")};
static const struct own_argument window_modes[] = {WORD("peek", "PEEK"), WORD("partial", "PARTIAL"),
                                                   WORD("countdenied", "COUNTDENIED")};

static const struct own_argument throttle[] = {KEY, NUMBER("max-burst"), NUMBER("count-per-period"), NUMBER("period"),
                                               MAYBE_NUMBER("quantity")};

static const struct own_argument increments[] = {TYPED_AFTER("BYFLOAT", "float", OWN_DOUBLE),
                                                 NUMBER_AFTER("BYINT", "integer")};
static const struct own_argument expirations[] = {NUMBER_AFTER("EX", "seconds"), NUMBER_AFTER("PX", "milliseconds"),
                                                  TYPED_AFTER("EXAT", "unix-time-seconds", OWN_TIME),
                                                  TYPED_AFTER("PXAT", "unix-time-milliseconds", OWN_TIME),
                                                  WORD("persist", "PERSIST")};
static const struct own_argument increx[] = {KEY,
                                             MAYBE_ONE_OF("increment", NULL, increments),
                                             MAYBE_TEXT_AFTER("LBOUND", "lowerbound"),
                                             MAYBE_TEXT_AFTER("UBOUND", "upperbound"),
                                             MAYBE_WORD("saturate", "SATURATE"),
                                             MAYBE_ONE_OF("expiration", NULL, expirations),
                                             MAYBE_WORD("enx", "ENX")};

static const struct own_argument gcra[] = {KEY, RATE, COST, MAYBE_ONE_OF("mode", NULL, gcra_modes), DELAY, IDEM};
static const struct own_argument window[] = {KEY, WINDOW, ALIGN, COST, MAYBE_ONE_OF("mode", NULL, window_modes), IDEM};
static const struct own_argument slide[] = {KEY, WINDOW, METHOD, COST, MAYBE_WORD("peek", "PEEK"), IDEM};

static const struct own_argument gcra_back[] = {RATE, DELAY};
static const struct own_argument window_back[] = {WINDOW, ALIGN};
static const struct own_argument slide_back[] = {WINDOW, METHOD};
static const struct own_argument limits_back[] = {
    BLOCK("gcra", "GCRA", gcra_back), BLOCK("window", "WINDOW", window_back), BLOCK("slide", "SLIDE", slide_back)};
static const struct own_argument refund[] = {KEY, ONE_OF("limit", limits_back), NUMBER_AFTER("COST", "cost"), IDEM};

static const struct own_argument reset[] = {KEYS};

static const struct own_argument gcra_part[] = {RATE, COST};
static const struct own_argument window_part[] = {WINDOW, ALIGN, COST};
static const struct own_argument slide_part[] = {WINDOW, METHOD, COST};
static const struct own_argument semaphore_part[] = {NUMBER("max"), NUMBER("lease-ms"), TEXT("token")};
static const struct own_argument parts[] = {BLOCK("gcra", "GCRA", gcra_part), BLOCK("window", "WINDOW", window_part),
                                            BLOCK("slide", "SLIDE", slide_part),
                                            BLOCK("semaphore", "SEM", semaphore_part)};
static const struct own_argument multi[] = {NUMBER("numkeys"), KEYS, EACH_OF("limit", parts)};

static const struct own_argument by_name[] = {TEXT("name"),
                                              TEXT("subject"),
                                              MAYBE_TEXT_AFTER("TOKEN", "token"),
                                              COST,
                                              MAYBE_ONE_OF("mode", NULL, window_modes),
                                              DELAY,
                                              IDEM,
                                              WAIT,
                                              FIFO,
                                              SLOTS};

static const struct own_argument acquire[] = {KEY,  NUMBER("max"), NUMBER("lease-ms"), TEXT("token"), COST, WAIT,
                                              FIFO, SLOTS};
static const struct own_argument check[] = {KEY, TEXT("token"), MAYBE_NUMBER("fence")};
static const struct own_argument only_key[] = {KEY};
static const struct own_argument holders[] = {KEY, MAYBE_NUMBER_AFTER("COUNT", "count")};
static const struct own_argument release[] = {KEY, TEXTS("token")};
static const struct own_argument renew[] = {KEY, TEXT("token"), NUMBER("lease-ms"), MAYBE_NUMBER("fence")};
static const struct own_argument revocable[] = {TEXT("token"), WORD("all", "*")};
static const struct own_argument revoke[] = {KEY, ONE_OF("holder", revocable)};

/* In the order of their names, which is also that in which they are told. */
static const struct own_command own_commands[OWN_COMMANDS] = {
    {"cl.throttle", "Takes from a GCRA limit, with the arguments and the reply of redis-cell", "O(1)", ALL(throttle),
     OWN_FIRST_KEY, OWN_UPDATES},
    {"increx", "Increments a number within bounds, and sets its expiration", "O(1)", ALL(increx), OWN_FIRST_KEY,
     OWN_UPDATES},
    {"lim.gcra", "Takes from a limit by GCRA: a token bucket that fills continuously", "O(1)", ALL(gcra), OWN_FIRST_KEY,
     OWN_UPDATES},
    {"lim.multi", "Takes from several limits and semaphores, from all of them or from none",
     "O(N) where N is the number of keys", ALL(multi), OWN_NUMBERED_KEYS, OWN_UPDATES},
    {"lim.refund", "Gives back what was taken from a limit", "O(1), with LOG O(N) where N is the number of calls",
     ALL(refund), OWN_FIRST_KEY, OWN_UPDATES},
    {"lim.reset", "Forgets the state of limits and semaphores", "O(N) where N is the number of keys", ALL(reset),
     OWN_ALL_KEYS, OWN_REMOVES},
    {"lim.slide", "Takes from a limit over a sliding window", "O(1), with LOG O(log N) where N is the limit",
     ALL(slide), OWN_FIRST_KEY, OWN_UPDATES},
    {"lim.try", "Takes from a limit or semaphore of respgate's configuration, by its name",
     "That of the command it stands for", ALL(by_name), OWN_NO_KEY, OWN_UPDATES},
    {"lim.window", "Takes from a limit over a fixed window", "O(1)", ALL(window), OWN_FIRST_KEY, OWN_UPDATES},
    {"sem.acquire", "Takes a lease of a semaphore, or extends the token's own",
     "O(log N) where N is the number of holders", ALL(acquire), OWN_FIRST_KEY, OWN_UPDATES},
    {"sem.check", "Tells how long a lease still lasts", "O(1)", ALL(check), OWN_FIRST_KEY, OWN_READS},
    {"sem.count", "Counts holders, reservations and waiters of a semaphore",
     "O(log N) where N is the number of holders", ALL(only_key), OWN_FIRST_KEY, OWN_READS},
    {"sem.holders", "Lists who holds a semaphore", "O(N) where N is the number of holders", ALL(holders), OWN_FIRST_KEY,
     OWN_READS},
    {"sem.release", "Gives leases back", "O(M*log N) for M tokens and N holders", ALL(release), OWN_FIRST_KEY,
     OWN_RELEASES},
    {"sem.renew", "Extends a lease", "O(log N) where N is the number of holders", ALL(renew), OWN_FIRST_KEY,
     OWN_UPDATES},
    {"sem.revoke", "Takes leases away from their holders", "O(N) where N is the number of holders", ALL(revoke),
     OWN_FIRST_KEY, OWN_RELEASES},
};

const struct own_command *own_command_at(unsigned i)
{
    assert(i < OWN_COMMANDS);
    return &own_commands[i];
}

int own_command_find(const uint8_t *name, size_t len)
{
    for (int i = 0; i < OWN_COMMANDS; i++) {
        const char *own = own_commands[i].name;

        if (strlen(own) == len && strncasecmp(own, (const char *)name, len) == 0) {
            return i;
        }
    }
    return OWN_NONE;
}

uint32_t own_commands_like(const uint8_t *pattern, size_t len)
{
    uint32_t found = 0;

    for (unsigned i = 0; i < OWN_COMMANDS; i++) {
        if (glob_match(pattern, len, own_commands[i].name, strlen(own_commands[i].name))) {
            found |= UINT32_C(1) << i;
        }
    }
    return found;
}

/* The categories that own_entry_info() names: each is slow, and reads or writes. */
uint32_t own_commands_in(const uint8_t *category, size_t len)
{
    uint32_t found = 0;

    if (len == strlen("slow") && strncasecmp((const char *)category, "slow", len) == 0) {
        return OWN_ALL;
    }
    for (unsigned i = 0; i < OWN_COMMANDS; i++) {
        const char *does = own_commands[i].access == OWN_READS ? "read" : "write";

        if (len == strlen(does) && strncasecmp((const char *)category, does, len) == 0) {
            found |= UINT32_C(1) << i;
        }
    }
    return found;
}
