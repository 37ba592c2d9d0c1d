/*
 * faultproxy: a TCP proxy on 127.0.0.1 that fails as it is told to. See usage() below.
 *
 * The fault that is on can change at any moment; "pass" ends all of them. It ends with its stdin.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "faultproxy/proxy.h"

static void __attribute__((noreturn)) usage(void)
{
    fputs("usage: faultproxy --target HOST:PORT [--seed N]\n"
          "HOST is an IPv4 number. Prints the port it listens on, then obeys lines on its stdin and answers each:\n"
          "  pass                   no fault, listening\n"
          "  latency MS [JITTER_MS] replies come so much later\n"
          "  slice N                at most N bytes in one write\n"
          "  drop                   nothing moves any more, nobody is told\n"
          "  refuse                 connects are refused; connections live on\n"
          "  reset                  every connection is reset on both sides, once\n"
          "  half-close             every client sees the end of its replies, once; a later reply resets it\n"
          "  counts                 answered by a line of JSON\n",
          stderr);
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (end == text || *end)
        usage();
    return n;
}

static struct sockaddr_in address(char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char *colon = strrchr(text, ':');

    if (!colon)
        usage();
    *colon = '\0';
    to.sin_port = htons((uint16_t)number(colon + 1));
    if (inet_pton(AF_INET, text, &to.sin_addr) != 1)
        usage();
    return to;
}

/* Obeys the whole lines that came; false when there will be none any more. */
static bool obey(struct proxy *proxy)
{
    static char lines[4096];
    static size_t len;
    ssize_t got = read(STDIN_FILENO, lines + len, sizeof(lines) - len - 1);
    char *end;

    if (got <= 0)
        return false;
    len += (size_t)got;
    lines[len] = '\0';
    while ((end = strchr(lines, '\n'))) {
        *end = '\0';
        proxy_command(proxy, lines, stdout);
        fflush(stdout);
        len -= (size_t)(end + 1 - lines);
        memmove(lines, end + 1, len + 1);
    }
    return len < sizeof(lines) - 1;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"target", 1, NULL, 't'}, {"seed", 1, NULL, 's'}, {0}};
    struct sockaddr_in target = {0};
    struct proxy proxy;
    uint64_t seed;
    int name;

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        abort();
    while ((name = getopt_long(argc, argv, "", names, NULL)) >= 0) {
        if (name == 't')
            target = address(optarg);
        else if (name == 's')
            seed = number(optarg);
        else
            usage();
    }
    if (!target.sin_port || optind < argc)
        usage();
    proxy_init(&proxy, &target, seed);
    fprintf(stderr, "faultproxy: seed %llu\n", (unsigned long long)seed);
    printf("%u\n", ntohs(proxy.address.sin_port));
    fflush(stdout);
    while (!proxy_turn(&proxy, STDIN_FILENO) || obey(&proxy))
        ;
    proxy_free(&proxy);
    return 0;
}
