/* The line reader: what inih would mangle is refused with its line number, and what it accepts arrives unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/reader.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Everything the reader tells, as one text: "[listen]1 workers=2@2 !3:the line is ..." */
struct trace {
    char text[65536];
    size_t len;
};

static void add(struct trace *trace, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct trace *trace, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(trace->text + trace->len, sizeof trace->text - trace->len, format, args);
    va_end(args);
    assert_true(len >= 0 && trace->len + (size_t)len < sizeof trace->text);
    trace->len += (size_t)len;
}

static void on_section(void *context, unsigned line, const char *header)
{
    add(context, "[%s]%u ", header ? header : "?", line);
}

static void on_pair(void *context, unsigned line, const char *key, const char *value)
{
    add(context, "%s=%s@%u ", key, value, line);
}

static void on_mistake(void *context, unsigned line, const char *what)
{
    add(context, "!%u:%s ", line, what);
}

static const char *run(struct trace *trace, const char *bytes, size_t len)
{
    struct reader_events events = {trace, on_section, on_pair, on_mistake};
    trace->len = 0;
    trace->text[0] = '\0';
    reader_run(bytes, len, &events);
    return trace->text;
}

struct sample {
    const char *bytes, *want;
    size_t len; /* 0: up to the NUL */
};

static void expect(const struct sample *samples, size_t n)
{
    static struct trace trace;
    for (size_t i = 0; i < n; i++) {
        size_t len = samples[i].len > 0 ? samples[i].len : strlen(samples[i].bytes);
        assert_string_equal(run(&trace, samples[i].bytes, len), samples[i].want);
    }
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"", "", 0},
        {"\n\n  \t\n", "", 0},
        {"; a\n# b\n  ; c\n;d ;e\n", "", 0},
        {"[listen]\nworkers = 2\n", "[listen]1 workers=2@2 ", 0},
        {"[backend docker]\n", "[backend docker]1 ", 0},
        {"[ a ] \t\n", "[ a ]1 ", 0},
        {"a=b", "a=b@1 ", 0},
        {"a:b\n", "a=b@1 ", 0},
        {"a = b c \t\n", "a=b c@1 ", 0},
        {"a =\n", "a=@1 ", 0},
        {"a\t=\tb\n", "a=b@1 ", 0},
        {"a=b=c:d\n", "a=b=c:d@1 ", 0},
        {"a=b;c#d\n", "a=b;c#d@1 ", 0},
        {"a=;b\n", "a=;b@1 ", 0},
        {"a=\"b\"\n", "a=\"b\"@1 ", 0},
        {"a=b\r\n\r\nc=d\r\n", "a=b@1 c=d@3 ", 0},
        {"\xef\xbb\xbf[a]\nb=c\n", "[a]1 b=c@2 ", 0},
        {"\xef\xbb\xbf", "", 0},
        {"a=\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\n",
         "a=\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf@1 ", 0},
        {"a=\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82\n", "a=\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82@1 ", 0},
    };
    expect(samples, COUNT(samples));
}

static void test_refused(void **state)
{
    (void)state;
    static const char comment[] =
        "a blank before ';' or '#' starts no comment here: give the comment a line of its own, or a "
        "value that needs these bytes through KEY_file or the environment ";
    static const char indented[] = "the line is indented, and values cannot be continued on a further line ";
    char commented[256], commented_tab[256], commented_header[256], continued[256], indented_header[256];
    snprintf(commented, sizeof commented, "!1:%sc=d@2 ", comment);
    snprintf(commented_tab, sizeof commented_tab, "!1:%s", comment);
    snprintf(commented_header, sizeof commented_header, "[?]1 !1:%s", comment);
    snprintf(continued, sizeof continued, "a=b@1 !2:%s", indented);
    snprintf(indented_header, sizeof indented_header, "[?]1 !1:%s", indented);
    const struct sample samples[] = {
        {"q = ab ;cd\nc=d\n", commented, 0},
        {"q = ab\t#cd\n", commented_tab, 0},
        {"q = ;cd\n", commented_tab, 0},
        {"a ;b = c\n", commented_tab, 0},
        {"[a ;b]\n", commented_header, 0},
        {"a=b\n  y = 2\n", continued, 0},
        {"a=b\n\ty\n", continued, 0},
        {" [a]\n", indented_header, 0},
        {"[a] junk\nb=c\n", "[?]1 !1:text follows the ']', a comment needs a line of its own b=c@2 ", 0},
        {"[a] ; junk\n", "[?]1 !1:text follows the ']', a comment needs a line of its own ", 0},
        {"[a]]\n", "[?]1 !1:text follows the ']', a comment needs a line of its own ", 0},
        {"[a\n", "[?]1 !1:the '[' has no ']' ", 0},
        {"word\n", "!1:the line has neither '=' nor ':' ", 0},
        {"= b\n", "!1:the line has no key before its '=' or ':' ", 0},
        {"a\rb=c\n", "!1:the line holds a carriage return ", 0},
        {"a=b\r", "!1:the line holds a carriage return ", 0},
        {"a=b\r\r\n", "!1:the line holds a carriage return ", 0},
        {"a=\0b\n", "!1:the line holds a NUL byte, the file must be UTF-8 text ", 5},
        {"a=\x01\n", "!1:the line holds a control byte ", 0},
        {"a=\x0c", "!1:the line holds a control byte ", 0},
        {"; \x01\n", "!1:the line holds a control byte ", 0},
        {"a=\xe9\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xc0\xaf\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xed\xa0\x80\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xf4\x90\x80\x80\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xe2\x82\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xe2\x82x\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xc3(\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xf0\x9f\x99\xc0\n", "!1:the line is not UTF-8 ", 0},
        {"a=\x80\n", "!1:the line is not UTF-8 ", 0},
        {"a=\xf5\x80\x80\x80\n", "!1:the line is not UTF-8 ", 0},
        {"\n\xef\xbb\xbf[a]\n", "!2:the line has neither '=' nor ':' ", 0},
    };
    expect(samples, COUNT(samples));
}

/* inih 55 alone would cut the value and hand its tail over as a key. */
static void test_long_lines(void **state)
{
    (void)state;
    static struct trace trace;
    size_t most = reader_line_max();
    char *bytes = malloc(most + 16);
    assert_non_null(bytes);
    memset(bytes, 'x', most + 16);
    memcpy(bytes, "k=", 2);
    memcpy(bytes + most, "\na=b\n", 5);
    run(&trace, bytes, most + 5);
    assert_int_equal(trace.len, most + strlen("@1 a=b@2 "));
    assert_string_equal(trace.text + most, "@1 a=b@2 ");

    memcpy(bytes + most, "x\r\na=b\n", 7);
    run(&trace, bytes, most + 7);
    assert_ptr_equal(strstr(trace.text, "!1:the line is longer than "), trace.text);
    assert_non_null(strstr(trace.text, " a=b@2 "));
    assert_null(strstr(trace.text, "xx"));

    bytes[0] = '[';
    run(&trace, bytes, most + 7);
    assert_ptr_equal(strstr(trace.text, "[?]1 !1:the line is longer than "), trace.text);
    free(bytes);
}

static void test_long_names(void **state)
{
    (void)state;
    static const char name[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"; /* 50 bytes */
    char bytes[256], want[256];
    static struct trace trace;
    snprintf(bytes, sizeof bytes, "[%.49s]\n%.49s = 1\n", name, name);
    snprintf(want, sizeof want, "[%.49s]1 %.49s=1@2 ", name, name);
    assert_string_equal(run(&trace, bytes, strlen(bytes)), want);
    snprintf(bytes, sizeof bytes, "[%s]\n%s = 1\n", name, name);
    assert_string_equal(run(&trace, bytes, strlen(bytes)),
                        "[?]1 !1:the section name is longer than 49 bytes !2:the key is longer than 49 bytes ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
