#include "proxy/watch/metric_out.h"

#include <string.h>

#include "proxy/watch/histogram.h"

static const char *const types[] = {"counter", "gauge", "histogram"};

static void flush(struct metric_out *out)
{
    fwrite_unlocked(out->text, 1, out->len, out->out);
    out->len = 0;
    if (out->pause)
        out->pause(out->arg);
}

static void put_bytes(struct metric_out *out, const char *bytes, size_t len)
{
    if (len > sizeof(out->text) - out->len)
        flush(out);
    if (len > sizeof(out->text)) {
        fwrite_unlocked(bytes, 1, len, out->out);
        return;
    }
    memcpy(out->text + out->len, bytes, len);
    out->len += len;
}

static void put(struct metric_out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

static void put_char(struct metric_out *out, char c)
{
    if (out->len == sizeof(out->text))
        flush(out);
    out->text[out->len++] = c;
}

static void put_whole(struct metric_out *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    put_bytes(out, digits + at, sizeof(digits) - at);
}

void metric_begin(struct metric_out *out)
{
    out->prefix = "respgate_";
    out->len = 0;
    out->begun = out->sampled = false;
    if (out->format == METRIC_JSON)
        put_char(out, '[');
}

static const char *suffix(const struct metric_out *out)
{
    return out->type == METRIC_COUNTER ? "_total" : "";
}

static void end_family(struct metric_out *out)
{
    if (out->format == METRIC_JSON && out->begun)
        put(out, "]}");
}

static void put_name(struct metric_out *out, const char *end)
{
    put(out, out->prefix);
    put(out, out->name);
    put(out, end);
}

/* OpenMetrics calls the family of a counter by its name without the suffix. */
static void put_heading(struct metric_out *out, const char *kind, const char *text)
{
    put(out, kind);
    put_name(out, out->format == METRIC_OPENMETRICS ? "" : suffix(out));
    put_char(out, ' ');
    put(out, text);
    put_char(out, '\n');
}

void metric_family(struct metric_out *out, const char *name, enum metric_type type, const char *help)
{
    end_family(out);
    out->name = name;
    out->type = type;
    out->sampled = false;
    if (out->format == METRIC_JSON) {
        put(out, out->begun ? ",\n{\"name\":\"" : "\n{\"name\":\"");
        put_name(out, suffix(out));
        put(out, "\",\"type\":\"");
        put(out, types[type]);
        put(out, "\",\"samples\":[");
    } else {
        put_heading(out, "# HELP ", help);
        put_heading(out, "# TYPE ", types[type]);
    }
    out->begun = true;
}

/* Backslash, quote and line end are escaped, in JSON as well: no value of a label has other control characters. */
static void put_quoted(struct metric_out *out, const char *text)
{
    put_char(out, '"');
    for (; *text; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n')
            put_char(out, '\\');
        put_char(out, *text == '\n' ? 'n' : *text);
    }
    put_char(out, '"');
}

/* Nearly all are whole numbers. */
static void put_value(struct metric_out *out, double value)
{
    char digits[32];

    if (value >= 0 && value < 9e15 && value == (double)(uint64_t)value)
        put_whole(out, (uint64_t)value);
    else
        put_bytes(out, digits, (size_t)snprintf(digits, sizeof(digits), "%.15g", value));
}

static void put_labels(struct metric_out *out, const struct metric_label *labels)
{
    const char *quote = out->format == METRIC_JSON ? "\"" : "", *equals = out->format == METRIC_JSON ? ":" : "=";

    for (const struct metric_label *label = labels; label->name; label++) {
        put(out, label == labels ? "" : ",");
        put(out, quote);
        put(out, label->name);
        put(out, quote);
        put(out, equals);
        put_quoted(out, label->value);
    }
}

/* One line of text; with `le` when it is a bucket. */
static void put_line(struct metric_out *out, const struct metric_label *labels, const char *end, const char *le,
                     double value)
{
    put_name(out, end);
    if (labels->name || le)
        put_char(out, '{');
    put_labels(out, labels);
    if (le) {
        put(out, labels->name ? ",le=\"" : "le=\"");
        put(out, le);
        put_char(out, '"');
    }
    put(out, labels->name || le ? "} " : " ");
    put_value(out, value);
    put_char(out, '\n');
}

void metric_sample(struct metric_out *out, const struct metric_label *labels, double value)
{
    if (out->format != METRIC_JSON) {
        put_line(out, labels, suffix(out), NULL, value);
        return;
    }
    put(out, out->sampled ? ",{\"labels\":{" : "{\"labels\":{");
    put_labels(out, labels);
    put(out, "},\"value\":");
    put_value(out, value);
    put_char(out, '}');
    out->sampled = true;
}

static void put_buckets(struct metric_out *out, const struct metric_label *labels,
                        const struct distribution *distribution)
{
    static const struct {
        const char *text;
        uint64_t us;
    } bounds[] = {
        {"0.0001", 100},  {"0.00025", 250}, {"0.0005", 500},  {"0.001", 1000},    {"0.0025", 2500}, {"0.005", 5000},
        {"0.01", 10000},  {"0.025", 25000}, {"0.05", 50000},  {"0.1", 100000},    {"0.25", 250000}, {"0.5", 500000},
        {"1.0", 1000000}, {"2.5", 2500000}, {"5.0", 5000000}, {"10.0", 10000000},
    };

    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        put_line(out, labels, "_bucket", bounds[i].text, (double)distribution_below(distribution, bounds[i].us));
    put_line(out, labels, "_bucket", "+Inf", (double)distribution->count);
    put_line(out, labels, "_sum", NULL, (double)distribution->sum_us / 1e6);
    put_line(out, labels, "_count", NULL, (double)distribution->count);
}

static void put_cells(struct metric_out *out, const struct distribution *distribution)
{
    const char *before = "";

    for (unsigned i = 0; i < HISTOGRAM_CELLS; i++) {
        if (!distribution->cells[i])
            continue;
        put(out, before);
        put_char(out, '[');
        put_whole(out, histogram_bound(i));
        put_char(out, ',');
        put_whole(out, distribution->cells[i]);
        put_char(out, ']');
        before = ",";
    }
}

void metric_distribution(struct metric_out *out, const struct metric_label *labels,
                         const struct distribution *distribution)
{
    if (out->format != METRIC_JSON) {
        put_buckets(out, labels, distribution);
        return;
    }
    put(out, out->sampled ? ",{\"labels\":{" : "{\"labels\":{");
    put_labels(out, labels);
    put(out, "},\"count\":");
    put_whole(out, distribution->count);
    put(out, ",\"sum\":");
    put_value(out, (double)distribution->sum_us / 1e6);
    put(out, ",\"p50\":");
    put_value(out, distribution_quantile(distribution, 0.5) / 1e6);
    put(out, ",\"p99\":");
    put_value(out, distribution_quantile(distribution, 0.99) / 1e6);
    put(out, ",\"cells\":[");
    put_cells(out, distribution);
    put(out, "]}");
    out->sampled = true;
}

void metric_end(struct metric_out *out)
{
    end_family(out);
    if (out->format == METRIC_JSON)
        put_char(out, ']');
    if (out->format == METRIC_OPENMETRICS)
        put(out, "# EOF\n");
    flush(out);
}

void metric_single(struct metric_out *out, const char *name, enum metric_type type, const char *help, double value)
{
    metric_family(out, name, type, help);
    metric_sample(out, METRIC_NO_LABELS, value);
}
