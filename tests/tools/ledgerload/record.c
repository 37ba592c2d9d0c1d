#include "ledgerload/record.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PER_BLOCK = 16384 };

struct record_block {
    TAILQ_ENTRY(record_block) link;
    unsigned n;
    struct record records[PER_BLOCK];
};

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = {
#define X(name) #name,
        OUTCOMES(X)
#undef X
    };

    return names[outcome];
}

void book_init(struct book *book)
{
    *book = (struct book){0};
    TAILQ_INIT(&book->blocks);
}

void book_add(struct book *book, const struct record *record)
{
    struct record_block *last = TAILQ_LAST(&book->blocks, record_blocks);

    if (!last || last->n == PER_BLOCK) {
        last = malloc(sizeof(*last));
        if (!last)
            abort();
        last->n = 0;
        TAILQ_INSERT_TAIL(&book->blocks, last, link);
    }
    last->records[last->n++] = *record;
    book->counts[record->outcome]++;
}

void book_write(const struct book *book, FILE *file)
{
    const struct record_block *block;

    TAILQ_FOREACH(block, &book->blocks, link)
    {
        for (unsigned i = 0; i < block->n; i++) {
            const struct record *r = &block->records[i];

            fprintf(file, "%" PRIu32 " %" PRIu32 " %" PRId64 " %" PRId64 " %s\n", r->client, r->sequence, r->sent_ns,
                    r->done_ns, outcome_name(r->outcome));
        }
    }
}

void book_free(struct book *book)
{
    struct record_block *block;

    while ((block = TAILQ_FIRST(&book->blocks))) {
        TAILQ_REMOVE(&book->blocks, block, link);
        free(block);
    }
}
