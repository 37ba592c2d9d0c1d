/*
 * What the clients do: groups of requests about fresh keys, each with the replies that must come, put together to
 * pipelines of random depth, sliced at random and sometimes cut by a disconnect.
 */
#pragma once

struct client;

/* First words on a new connection: half of the clients speak RESP3. */
void traffic_open(struct client *c);
/* The next pipeline, with the way it is written and whether the connection survives it. */
void traffic_next(struct client *c);

/* traffic_data.c: any shared connection will do */
void group_echo(struct client *c);
void group_ping(struct client *c);
void group_inline(struct client *c);
void group_mark(struct client *c); /* the database in which the client ought to be */
void group_set_get(struct client *c);
void group_eval(struct client *c);
void group_mget(struct client *c);
void group_lrange(struct client *c);
void group_hgetall(struct client *c);
void group_zrange(struct client *c);
void group_wrong_type(struct client *c);
void group_error_reply(struct client *c);
void group_wrong_arity(struct client *c);
void group_unknown_command(struct client *c);

/* traffic_session.c: state that belongs to one client */
void group_hello(struct client *c, unsigned resp);
void group_change_resp(struct client *c);
void group_select(struct client *c);
void group_name(struct client *c);
void group_reply_skip(struct client *c);
void group_reply_off(struct client *c);
void group_multi_burst(struct client *c);
void group_multi_split(struct client *c);
void group_multi_aborted(struct client *c);
void group_watch_clean(struct client *c);
void group_watch_dirty(struct client *c);
void group_blpop(struct client *c);
void group_pubsub(struct client *c);
