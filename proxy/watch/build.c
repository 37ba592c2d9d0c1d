#include "proxy/watch/build.h"

#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <openssl/crypto.h>

#include "conf/text.h"

#define TEXT_OF(x) #x
#define VERSION_OF(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *build_libevent(void)
{
    return event_get_version();
}

const char *build_hiredis(void)
{
    return VERSION_OF(HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}

const char *build_openssl(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

static void write_pair(FILE *out, const char *before, const char *name, const char *value)
{
    fprintf(out, "%s\"%s\":", before, name);
    text_write_json(out, value);
}

void build_write_json(const struct build *build, FILE *out)
{
    write_pair(out, "{", "version", build->version);
    write_pair(out, ",", "commit", build->commit);
    write_pair(out, ",", "build", build->type);
    write_pair(out, ",", "compiler", build->compiler);
    write_pair(out, ",", "libevent", build_libevent());
    write_pair(out, ",", "hiredis", build_hiredis());
    write_pair(out, ",", "openssl", build_openssl());
    fputc('}', out);
}

const char *build_libraries(char *text, size_t len)
{
    snprintf(text, len, "libevent %s, hiredis %s, %s", build_libevent(), build_hiredis(),
             OpenSSL_version(OPENSSL_VERSION));
    return text;
}
