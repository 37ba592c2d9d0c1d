#include "proxy/flow/tour.h"

#include <stdlib.h>

#include "proxy/flow/client.h"
#include "proxy/net/log.h"
#include "proxy/net/owner.h"

struct tour *tour_new(bool (*visit)(struct tour *, struct worker *))
{
    struct tour *tour = calloc(1, sizeof(*tour));

    if (!tour)
        end_out_of_memory(sizeof(*tour));
    tour->visit = visit;
    return tour;
}

void tour_free(struct tour *tour)
{
    if (!tour)
        return;
    free(tour->filter.ids);
    free(tour->text);
    free(tour);
}

void tour_forget(struct client *client)
{
    tour_free(client->tour);
    client->tour = NULL;
}

void tour_note_pin(struct tour *tour, const struct lane *pin)
{
    tour->backend_id = pin->backend_id;
    tour->there = pin->pool->key.backend;
}

uint64_t tour_backend_id(const struct tour *tour, const struct pool *pool)
{
    return tour->there == pool->key.backend ? tour->backend_id : 0;
}

static void come_home(struct worker *worker, struct errand *errand)
{
    struct tour *tour = OWNER_OF(errand, struct tour, errand);
    struct client *client = client_find(worker, tour->client_id);

    if (!client || client->gate != GATE_ERRAND) {
        tour_free(tour);
        return;
    }
    client->tour = tour;
    client_open_gate(client);
}

static void travel(struct worker *worker, struct errand *errand)
{
    struct tour *tour = OWNER_OF(errand, struct tour, errand);

    tour->at = worker;
    if (tour->visit(tour, worker))
        tour_go_on(tour);
}

void tour_go_on(struct tour *tour)
{
    struct crew *crew = tour->home->crew;
    bool more = ++tour->next < crew->count;

    if (crew->ending) {
        tour_free(tour);
        return;
    }
    tour->errand.run = more ? travel : come_home;
    worker_post(more ? &crew->workers[tour->next] : tour->home, &tour->errand);
}

void tour_start(struct client *client, struct tour *tour)
{
    tour->home = client->worker;
    tour->client_id = client->id;
    tour->errand.run = travel;
    client_shut(client, GATE_ERRAND);
    worker_post(&client->worker->crew->workers[0], &tour->errand);
}
