// The first page: the figures of now, each with its last hour.

import { get } from "./api.js";
import { tile } from "./chart.js";
import { announce, h, peer, redraw, show, table } from "./dom.js";
import { count, duration, rate, size } from "./format.js";

export const title = "Overview";

const interval = 5000;
const slots = 720;

export function open(main) {
    const state = h("p", { class: "state" });
    const tiles = h("div", { class: "tiles" });
    const rest = h("div", null);
    const ending = new AbortController();
    let timer = 0;
    let wasReady = null;
    show(main, h("div", { class: "title" }, h("h1", null, title), state), tiles, rest);

    async function load() {
        try {
            const [overview, history, listeners, dropped, limits] = await Promise.all(
                ["overview", "history", "listeners", "dropped", "limits"].map(path => get(path, null, ending.signal)));
            draw(overview, history, listeners.items, dropped, limits);
        } catch (failure) {
            if (ending.signal.aborted)
                return;

            show(state, h("span", { class: "badge bad" }, "No answer"), failure.message);

            if (wasReady !== null)
                announce(failure.message);

            wasReady = null;
        }

        timer = setTimeout(load, interval);
    }

    function draw(overview, history, listeners, dropped, limits) {
        show(state,
            h("span", { class: overview.isReady ? "badge good" : "badge bad" }, overview.isReady ? "Serving" : "Not serving"),
            `${overview.version}, up ${duration(overview.uptimeSeconds)}${overview.status ? `: ${overview.status}` : ""}`);

        if (wasReady !== overview.isReady)
            announce(overview.isReady ? "The broker serves." : `The broker does not serve: ${overview.status}`);

        wasReady = overview.isReady;
        const level = (values, now) => [...values, now].slice(-slots);
        redraw(tiles,
            tile("Connections", level(history.connections, overview.connections), count, "#/clients"),
            tile("Publish in per second", history.receivedPerSecond, rate),
            tile("Publish out per second", history.sentPerSecond, rate),
            tile("Dropped per second", history.droppedPerSecond, rate),
            tile("Queued messages", level(history.queued, overview.queued), count),
            tile("Retained messages", level(history.retained, overview.retained), count, "#/topics"),
            tile("Subscriptions", level(history.subscriptions, overview.subscriptions), count, "#/subscriptions"));
        redraw(rest,
            h("section", { "aria-labelledby": "totals" }, h("h2", { id: "totals" }, "Since the start"), totals(overview)),
            h("div", { class: "pair" },
                h("section", { "aria-labelledby": "limits" }, h("h2", { id: "limits" }, "Limits exceeded"), exceeded(history, limits)),
                h("section", { "aria-labelledby": "drops" }, h("h2", { id: "drops" }, "Dropped messages"), drops(dropped)),
                h("section", { "aria-labelledby": "refusals" }, h("h2", { id: "refusals" }, "Refused connections"), refusals(limits)),
                h("section", { "aria-labelledby": "listeners" }, h("h2", { id: "listeners" }, "Listeners"), listening(listeners))));
    }

    load();
    return () => {
        ending.abort();
        clearTimeout(timer);
    };
}

function totals(overview) {
    const facts = [
        ["Sessions", count(overview.sessions)],
        ["Most connections at a time", count(overview.connectionsMost)],
        ["Connections opened", count(overview.connectionsOpened)],
        ["Messages in", count(overview.publishReceived)],
        ["Messages out", count(overview.publishSent)],
        ["Messages dropped", count(overview.publishDropped)],
        ["Received", size(overview.bytesReceived)],
        ["Sent", size(overview.bytesSent)],
        ["Queued and under way", size(overview.queuedBytes)],
        ["Retained", size(overview.retainedBytes)],
    ];
    return h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

function exceeded(history, limits) {
    const rows = Object.entries(limits.exceeded).map(([name, total]) => ({ name, total, hour: history.limitsExceeded[name] ?? 0 }))
        .sort((one, other) => other.hour - one.hour || other.total - one.total);
    return table("Limits exceeded", [
        ["Limit", "", row => h("code", null, row.name)],
        ["Last hour", "number", row => count(row.hour)],
        ["Since the start", "number", row => count(row.total)],
    ], rows, "No client went beyond a limit.");
}

function drops(dropped) {
    return table("Dropped messages", [
        ["Reason", "wrap", row => [peer(row.reason), row.limit && [" ", h("code", null, row.limit)]]],
        ["Messages", "number", row => count(row.count)],
    ], dropped.reasons, "No message was dropped.");
}

function refusals(limits) {
    return table("Refused connections", [
        ["Reason", "", ([reason]) => h("code", null, reason)],
        ["Connections", "number", ([, number]) => count(number)],
    ], Object.entries(limits.refused), "No connection was refused.");
}

function listening(listeners) {
    return table("Listeners", [
        ["Address", "", listener => h("code", null, listener.address)],
        ["Transport", "", listener => listener.transport],
        ["TLS", "", listener => (listener.needsCertificate ? "with certificates of clients" : listener.isEncrypted ? "yes" : "no")],
        ["Versions", "", listener => listener.versions.join(", ")],
    ], listeners, "The broker has no listeners of its own; the application has them.");
}
