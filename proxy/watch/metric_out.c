#include "proxy/watch/metric_out.h"

#include "proxy/watch/histogram.h"

static const char *const types[] = {"counter", "gauge", "histogram"};

void metric_begin(struct metric_out *out)
{
    out->prefix = "respgate_";
    out->begun = out->sampled = false;
    if (out->format == METRIC_JSON)
        fputc('[', out->out);
}

static const char *suffix(const struct metric_out *out)
{
    return out->type == METRIC_COUNTER ? "_total" : "";
}

static void end_family(struct metric_out *out)
{
    if (out->format == METRIC_JSON && out->begun)
        fputs("]}", out->out);
}

void metric_family(struct metric_out *out, const char *name, enum metric_type type, const char *help)
{
    end_family(out);
    out->name = name;
    out->type = type;
    out->sampled = false;
    if (out->format == METRIC_JSON) {
        fprintf(out->out, "%s\n{\"name\":\"%s%s%s\",\"type\":\"%s\",\"samples\":[", out->begun ? "," : "", out->prefix,
                name, suffix(out), types[type]);
    } else {
        /* OpenMetrics calls the family of a counter by its name without the suffix. */
        const char *end = out->format == METRIC_OPENMETRICS ? "" : suffix(out);
        fprintf(out->out, "# HELP %s%s%s %s\n# TYPE %s%s%s %s\n", out->prefix, name, end, help, out->prefix, name, end,
                types[type]);
    }
    out->begun = true;
}

/* Backslash, quote and line end are escaped, in JSON as well: no value of a label has other control characters. */
static void write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            fprintf(out, "\\%c", *text);
        else if (*text == '\n')
            fputs("\\n", out);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

/* Nearly all are whole numbers, which are written much faster as such. */
static void write_value(FILE *out, double value)
{
    if (value >= 0 && value < 9e15 && value == (double)(int64_t)value)
        fprintf(out, "%lld", (long long)value);
    else
        fprintf(out, "%.15g", value);
}

static void write_labels(FILE *out, const struct metric_label *labels, char equals)
{
    for (const struct metric_label *label = labels; label->name; label++) {
        fputs(label == labels ? "" : ",", out);
        if (equals == '=')
            fprintf(out, "%s=", label->name);
        else
            fprintf(out, "\"%s\":", label->name);
        write_quoted(out, label->value);
    }
}

void metric_sample(struct metric_out *out, const struct metric_label *labels, double value)
{
    if (out->format == METRIC_JSON) {
        fputs(out->sampled ? "," : "", out->out);
        fputs("{\"labels\":{", out->out);
        write_labels(out->out, labels, ':');
        fputs("},\"value\":", out->out);
        write_value(out->out, value);
        fputc('}', out->out);
    } else {
        fprintf(out->out, "%s%s%s", out->prefix, out->name, suffix(out));
        if (labels->name) {
            fputc('{', out->out);
            write_labels(out->out, labels, '=');
            fputc('}', out->out);
        }
        fputc(' ', out->out);
        write_value(out->out, value);
        fputc('\n', out->out);
    }
    out->sampled = true;
}

/* One line of a histogram: with `le` when it is a bucket. */
static void write_line(struct metric_out *out, const struct metric_label *labels, const char *end, const char *le,
                       double value)
{
    fprintf(out->out, "%s%s%s", out->prefix, out->name, end);
    if (labels->name || le)
        fputc('{', out->out);
    write_labels(out->out, labels, '=');
    if (le)
        fprintf(out->out, "%sle=\"%s\"", labels->name ? "," : "", le);
    fputs(labels->name || le ? "} " : " ", out->out);
    write_value(out->out, value);
    fputc('\n', out->out);
}

static void write_buckets(struct metric_out *out, const struct metric_label *labels,
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
        write_line(out, labels, "_bucket", bounds[i].text, (double)distribution_below(distribution, bounds[i].us));
    write_line(out, labels, "_bucket", "+Inf", (double)distribution->count);
    write_line(out, labels, "_sum", NULL, (double)distribution->sum_us / 1e6);
    write_line(out, labels, "_count", NULL, (double)distribution->count);
}

static void write_cells(FILE *out, const struct distribution *distribution)
{
    const char *before = "";

    for (unsigned i = 0; i < HISTOGRAM_CELLS; i++) {
        if (!distribution->cells[i])
            continue;
        fprintf(out, "%s[%llu,%llu]", before, (unsigned long long)histogram_bound(i),
                (unsigned long long)distribution->cells[i]);
        before = ",";
    }
}

void metric_distribution(struct metric_out *out, const struct metric_label *labels,
                         const struct distribution *distribution)
{
    if (out->format != METRIC_JSON) {
        write_buckets(out, labels, distribution);
        return;
    }
    fprintf(out->out, "%s{\"labels\":{", out->sampled ? "," : "");
    write_labels(out->out, labels, ':');
    fprintf(out->out, "},\"count\":%llu,\"sum\":%.15g,\"p50\":%.6g,\"p99\":%.6g,\"cells\":[",
            (unsigned long long)distribution->count, (double)distribution->sum_us / 1e6,
            distribution_quantile(distribution, 0.5) / 1e6, distribution_quantile(distribution, 0.99) / 1e6);
    write_cells(out->out, distribution);
    fputs("]}", out->out);
    out->sampled = true;
}

void metric_end(struct metric_out *out)
{
    end_family(out);
    if (out->format == METRIC_JSON)
        fputc(']', out->out);
    if (out->format == METRIC_OPENMETRICS)
        fputs("# EOF\n", out->out);
}

void metric_single(struct metric_out *out, const char *name, enum metric_type type, const char *help, double value)
{
    metric_family(out, name, type, help);
    metric_sample(out, METRIC_NO_LABELS, value);
}
