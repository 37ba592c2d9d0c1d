#include "proxy/flow/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/client.h"
#include "proxy/net/owner.h"

enum { NAMES_MAX = 256, NAME_LEN_MAX = 40 };

enum verdict { ASKED, MAY_SHARE, NEEDS_OWN };

struct foreign {
    struct requester requester;
    uint64_t generation; /* of the names when it was asked: a late answer says nothing about the backend of now */
    enum verdict verdict;
    uint8_t name_len;
    char name[NAME_LEN_MAX]; /* lower case */
};

struct foreign_names {
    uint64_t generation;
    size_t count;
    struct foreign names[NAMES_MAX];
};

static bool lower(const struct call *call, char name[NAME_LEN_MAX])
{
    if (!call->name_len || call->name_len > NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < call->name_len; i++)
        name[i] = (char)(call->name[i] >= 'A' && call->name[i] <= 'Z' ? call->name[i] + 32 : call->name[i]);
    return true;
}

struct foreign_names *foreign_new(void)
{
    return calloc(1, sizeof(struct foreign_names));
}

void foreign_free(struct foreign_names *names)
{
    free(names);
}

void foreign_forget(struct foreign_names *names)
{
    names->generation++;
}

static struct foreign *find(const struct foreign_names *names, const char *name, size_t len)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->names[i].name_len == len && !memcmp(names->names[i].name, name, len))
            return (struct foreign *)&names->names[i];
    return NULL;
}

bool foreign_may_share(const struct foreign_names *names, const struct call *call)
{
    char name[NAME_LEN_MAX];
    const struct foreign *known;

    if (!lower(call, name))
        return false;
    known = find(names, name, call->name_len);
    return known && known->generation == names->generation && known->verdict == MAY_SHARE;
}

static bool holds(const uint8_t *bytes, size_t len, const char *text)
{
    return memmem(bytes, len, text, strlen(text));
}

/* `*1`, and then null, or the command's row with its flags as simple strings. */
static void on_reply(struct requester *owner, struct lane *lane, struct request *request, const uint8_t *bytes,
                     size_t len, bool last)
{
    struct foreign *foreign = OWNER_OF(owner, struct foreign, requester);

    (void)lane;
    if (!last || request->begun || !holds(bytes, len < 4 ? len : 4, "*1\r\n") || holds(bytes, len, "+blocking\r\n"))
        foreign->verdict = NEEDS_OWN;
    else
        foreign->verdict = MAY_SHARE;
}

static void on_lost(struct requester *owner, struct lane *lane, struct request *request, enum request_loss loss)
{
    (void)owner, (void)lane, (void)request, (void)loss; /* it stays ASKED until the names are forgotten */
}

void foreign_ask(struct foreign_names *names, struct lane *lane, const struct call *call)
{
    static const struct requester_ops ops = {.on_reply = on_reply, .on_lost = on_lost};
    char name[NAME_LEN_MAX], command[128];
    struct foreign *foreign;

    if (!lower(call, name))
        return;
    foreign = find(names, name, call->name_len);
    if (foreign && foreign->generation == names->generation)
        return;
    if (!foreign && names->count == NAMES_MAX)
        return;
    if (!foreign) {
        foreign = &names->names[names->count++];
        foreign->requester.ops = &ops;
        foreign->name_len = (uint8_t)call->name_len;
        memcpy(foreign->name, name, call->name_len);
    }
    foreign->generation = names->generation;
    foreign->verdict = ASKED;
    int n = snprintf(command, sizeof(command), "*3\r\n$7\r\nCOMMAND\r\n$4\r\nINFO\r\n$%zu\r\n", call->name_len);
    lane_send(lane, &foreign->requester, 0, command, (size_t)n);
    lane_send_more(lane, name, call->name_len);
    lane_send_more(lane, "\r\n", 2);
}
