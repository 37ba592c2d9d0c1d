#include "proxy/watch/metric_out.h"

static const char *const types[] = {"counter", "gauge"};

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
        fprintf(out->out, "},\"value\":%.15g}", value);
    } else {
        fprintf(out->out, "%s%s%s", out->prefix, out->name, suffix(out));
        if (labels->name) {
            fputc('{', out->out);
            write_labels(out->out, labels, '=');
            fputc('}', out->out);
        }
        fprintf(out->out, " %.15g\n", value);
    }
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
