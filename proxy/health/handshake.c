#include "proxy/health/handshake.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

void handshake_nonce(char nonce[NONCE_ROOM])
{
    unsigned long long random = 0;
    ssize_t n = getrandom(&random, sizeof(random), 0);

    (void)n;
    snprintf(nonce, NONCE_ROOM, "%016llx", random);
}

/* Where `part` begins in the first `len` bytes of `text`; `len` when it is not there. */
static size_t find(const char *text, size_t len, const char *part)
{
    const char *at = memmem(text, len, part, strlen(part));

    return at ? (size_t)(at - text) : len;
}

void handshake_refusal(char *text, size_t room, const char *error, size_t len, const char *password)
{
    size_t end = find(error, len, ", with args"); /* a server that does not know a command quotes its arguments */

    /* Looked for before the text is cut to its room: half a password is still a secret. */
    if (password && password[0] && find(error, end, password) < end)
        snprintf(text, room, "ERR the reply to the login quotes the password");
    else
        snprintf(text, room, "%.*s", (int)end, error);
}
