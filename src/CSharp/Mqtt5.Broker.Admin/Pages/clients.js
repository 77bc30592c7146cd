// The clients and sessions, and one of them.

import { change, get, ofClient } from "./api.js";
import { confirm, run } from "./dialog.js";
import { field, h, peer, select, show, table } from "./dom.js";
import { count, duration, moment, size, time } from "./format.js";
import { pages } from "./paging.js";
import { clientLink, subscriptionTable } from "./subscriptions.js";

export const title = "Clients";

const forever = 4294967295;

export function open(main, context) {
    return context.rest === "" ? openList(main) : openClient(main, decodeURIComponent(context.rest), context.may);
}

function badge(client) {
    return h("span", { class: client.isConnected ? "badge good" : "badge" }, client.isConnected ? "connected" : "away");
}

function openList(main) {
    const contains = h("input", { type: "search", name: "contains", spellcheck: "false", input: () => later() });
    const state = select([["", "All"], ["connected", "Connected"], ["away", "Away"]], { name: "state", change: () => list.first(true) });
    const version = select([["", "All"], "5", "3.1.1", "3.1"], { name: "version", change: () => list.first(true) });
    const list = pages("clients", () => ({ contains: contains.value, state: state.value, version: version.value }), "client", items => table("Clients", [
        ["Client", "", item => clientLink(item.clientId)],
        ["State", "", badge],
        ["Version", "", item => item.version ?? "–"],
        ["Address", "", item => item.endPoint ?? "–"],
        ["User", "", item => (item.userName ?? item.owner) === undefined ? "–" : peer(item.userName ?? item.owner)],
        ["Subscriptions", "number", item => count(item.subscriptions)],
        ["In flight", "number", item => count(item.inFlight)],
        ["Queued", "number", item => count(item.queued)],
    ], items, "No client is like this. Clients appear here when they connect, and stay as long as their sessions."));
    let timer = 0;

    function later() {
        clearTimeout(timer);
        timer = setTimeout(() => list.first(true), 250);
    }

    show(main,
        h("h1", null, title),
        h("form", { class: "filters", role: "search", submit: event => { event.preventDefault(); clearTimeout(timer); list.first(true); } },
            field("Client Identifier contains", contains), field("State", state), field("Version", version),
            h("button", { class: "main" }, "Search")),
        list.element);
    list.first();
    return () => {
        clearTimeout(timer);
        list.end();
    };
}

function openClient(main, id, may) {
    const line = h("p", { class: "problem", role: "alert" });
    const facts = h("div", null, h("p", { class: "empty" }, "Loading"));
    const lists = h("div", null);
    const disconnect = h("button", { type: "button", id: "disconnect", disabled: true, click: () => act("Disconnect the client?", "Its connection ends with 0x98. The session goes on as the client asked for, and most clients connect again.", "Disconnect", "clients/-", "The client is disconnected.") }, "Disconnect");
    const end = h("button", { type: "button", id: "end-session", class: "danger", disabled: true, click: () => act("End the session?", "Its subscriptions and the messages that wait for it are lost, and its Will is published.", "End the session", "sessions/-", "The session has ended.") }, "End the session");
    const ending = new AbortController();
    const subscriptions = pages("sessions/-/subscriptions", () => ofClient(id), "subscription",
        items => subscriptionTable(items, "The client has no subscriptions.", false), 50);

    async function act(question, text, action, path, done) {
        if (await confirm(question, text, action) && await run(line, () => change("DELETE", path, ofClient(id)), done))
            await load();
    }

    async function load() {
        try {
            const client = await get("clients/-", ofClient(id), ending.signal);
            show(facts, detail(client));
            disconnect.disabled = !client.isConnected;
            end.disabled = false;
            subscriptions.first();
            const [inFlight, queue, events] = await Promise.all([
                get("sessions/-/inflight", { ...ofClient(id), limit: 50 }, ending.signal),
                get("sessions/-/queue", { ...ofClient(id), limit: 50 }, ending.signal),
                get("events/recent", { ...ofClient(id), limit: 50 }, ending.signal),
            ]);
            show(lists, h("h2", null, "Messages in flight"), messages("Messages in flight", inFlight.items, "No message is under way to it."),
                h("h2", null, "Queue"), messages("Queue", queue.items, "No message waits for it."), h("h2", null, "Events of the last hour"), happened(events.items));
        } catch (failure) {
            if (ending.signal.aborted)
                return;

            disconnect.disabled = true;
            end.disabled = true;
            const events = failure.status === 404 ? await get("events/recent", { ...ofClient(id), limit: 50 }).catch(() => ({ items: [] })) : { items: [] };
            show(facts, h("p", { class: "empty" }, failure.status === 404 ? "There is no session of this client." : failure.message));
            show(lists, h("h2", null, "Events of the last hour"), happened(events.items));
        }
    }

    show(main,
        h("p", { class: "crumbs" }, h("a", { href: "#/clients" }, "Clients")),
        h("div", { class: "title" }, h("h1", null, peer(id)),
            h("p", { class: "buttons" },
                h("button", { type: "button", click: load }, "Refresh"),
                may("operator") && disconnect,
                may("administrator") && end)),
        line,
        facts,
        explaining(id),
        h("h2", null, "Subscriptions"),
        subscriptions.element,
        lists);
    load();
    return () => {
        ending.abort();
        subscriptions.end();
    };
}

function detail(client) {
    const facts = [
        ["State", [badge(client), client.isCongested && " its connection takes no more data"]],
        ["Version", client.version ?? "–"],
        ["Address", client.endPoint ?? "–"],
        ["User", client.userName === undefined ? "–" : peer(client.userName)],
        ["Session of", client.owner === undefined ? "–" : peer(client.owner)],
        ["Session Expiry", client.sessionExpirySeconds === forever ? "never" : duration(client.sessionExpirySeconds)],
        ["Allowed silence", client.allowedSilenceMilliseconds ? duration(client.allowedSilenceMilliseconds / 1000) : "–"],
        ["Away since", client.awaySince ? moment(client.awaySince) : "–"],
        ["Ends at", client.endsAt ? moment(client.endsAt) : "–"],
        ["Will topic", client.willTopic === undefined ? "–" : peer(client.willTopic)],
        ["In flight", count(client.inFlight)],
        ["Queued", `${count(client.queued)} (${size(client.queuedBytes)})`],
    ];
    return h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

function messages(caption, items, empty) {
    return table(caption, [
        ["Topic", "wrap", item => peer(item.topic)],
        ["QoS", "number", item => item.qos],
        ["Payload", "number", item => size(item.payloadBytes)],
        ["Waits for", "", item => (item.waitsFor ?? "–").toUpperCase()],
        ["Expires", "", item => (item.expiresAt ? moment(item.expiresAt) : "never")],
    ], items, empty);
}

function happened(events) {
    return table("Events of the last hour", [
        ["Time", "", event => time(event.at)],
        ["Event", "", event => event.kind],
        ["Detail", "wrap", event => [event.detail && peer(event.detail), event.limit && [" ", h("code", null, event.limit)], event.topic && [" ", peer(event.topic)]]],
    ], events, "Nothing happened.");
}

// Why the client would get a message, or would not.
function explaining(id) {
    const topic = h("input", { type: "text", name: "topic", required: true, spellcheck: "false", autocomplete: "off" });
    const qos = select(["0", "1", "2"], { name: "qos" });
    const answer = h("div", { role: "status", "aria-live": "polite" });
    qos.value = "1";

    async function ask(event) {
        event.preventDefault();

        try {
            const verdict = await get("explain", { ...ofClient(id), topic: topic.value, qos: qos.value });
            show(answer,
                h("p", null, h("span", { class: verdict.isDelivered ? "badge good" : "badge bad" }, verdict.verdict === "shared-with" ? "one of the members" : verdict.isDelivered ? "yes" : "no"),
                    " ", sentence(verdict.sentence)),
                verdict.filters.length > 0 && h("p", { class: "note" }, "Filters that match: ", verdict.filters.map((filter, index) => [index > 0 && ", ", peer(filter)])),
                verdict.members.length > 0 && h("p", { class: "note" }, "Members: ", verdict.members.slice(0, 20).map((member, index) => [index > 0 && ", ", clientLink(member)])));
        } catch (failure) {
            show(answer, h("p", { class: "problem" }, failure.where ? `${failure.where}: ${failure.message}` : failure.message));
        }
    }

    return h("section", { class: "card", "aria-labelledby": "explain" },
        h("h2", { id: "explain" }, "Would it get this topic?"),
        h("form", { class: "filters", submit: ask }, field("Topic", topic, { class: "field wide" }), field("QoS", qos), h("button", { class: "main" }, "Explain")),
        answer);
}

function sentence(text) {
    return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
