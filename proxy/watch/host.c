#include "proxy/watch/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "conf/address.h"

static bool is_literal(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool is_listed(const char *host, const char *names)
{
    size_t len = strlen(host);

    for (names += strspn(names, " "); *names; names += strspn(names, " ")) {
        size_t name_len = strcspn(names, " ");
        if (name_len == len && !strncasecmp(names, host, len))
            return true;
        names += name_len;
    }
    return false;
}

bool host_is_ours(const char *host, const char *names)
{
    struct address address;

    if (address_parse(host, strlen(host), &address) || !address.host[0])
        return false;
    return !strcasecmp(address.host, "localhost") || is_literal(address.host) || is_listed(address.host, names);
}
