/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * conn_priv.h - Functions that the files of the core call in each other: conn.c
 * (phases), conn_timer.c, conn_rx.c (from the guest) and conn_tx.c (to the
 * guest).
 */
#ifndef TCP_CONN_PRIV_H
#define TCP_CONN_PRIV_H

#include "tcp/conn.h"

void conn_set_phase(struct tcp_conn *c, enum conn_phase phase,
		    enum conn_cause cause);
void conn_close(struct tcp_conn *c, enum conn_cause cause, uint32_t actions);
void conn_arm_timer(struct tcp_conn *c, enum conn_timer timer,
		    uint64_t deadline);
void conn_rearm_timer(struct tcp_conn *c, uint64_t now);
void conn_add_rtt(struct tcp_conn *c, uint32_t rtt);
void conn_reset_rto(struct tcp_conn *c);
void conn_guest_reset(struct tcp_conn *c);
void conn_guest_fin(struct tcp_conn *c);
void conn_check_done(struct tcp_conn *c, uint64_t now);
void conn_segment_syn_sent(struct tcp_conn *c, const struct tcp_seg *seg,
			   uint64_t now);
void conn_handshake_done(struct tcp_conn *c, uint64_t now);
void conn_process_ack(struct tcp_conn *c, const struct tcp_seg *seg,
		      uint64_t now);

#endif /* TCP_CONN_PRIV_H */
