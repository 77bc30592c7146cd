// Who subscribed to what, and the members of shared subscriptions.

import { field, h, peer, show, table } from "./dom.js";
import { count } from "./format.js";
import { pages } from "./paging.js";

export const title = "Subscriptions";

export function clientLink(client) {
    return h("a", { href: `#/clients/${encodeURIComponent(client)}` }, peer(client));
}

export function subscriptionTable(items, empty, hasClient = true) {
    return table("Subscriptions", [
        ...(hasClient ? [["Client", "", item => clientLink(item.clientId)]] : []),
        ["Filter", "wrap", item => peer(item.filter)],
        ["QoS", "number", item => item.qos],
        ["No Local", "", item => (item.noLocal ? "yes" : "no")],
        ["Retain As Published", "", item => (item.retainAsPublished ? "yes" : "no")],
        ["Identifier", "number", item => item.identifier ?? "–"],
    ], items, empty);
}

export function open(main) {
    const client = h("input", { type: "search", name: "client", spellcheck: "false" });
    const filter = h("input", { type: "search", name: "filter", spellcheck: "false" });
    const topic = h("input", { type: "search", name: "topic", spellcheck: "false" });
    const list = pages("subscriptions", () => ({ client: client.value, filter: filter.value, topic: topic.value }), "subscription",
        items => subscriptionTable(items, "No subscription is like this."));
    const groups = pages("groups", () => ({}), "shared subscription", items => table("Shared subscriptions", [
        ["Filter", "wrap", item => peer(item.filter)],
        ["Members", "number", item => count(item.memberCount)],
        ["Clients", "wrap", item => [item.members.slice(0, 20).map(member => [clientLink(member), " "]), item.memberCount > 20 && `and ${count(item.memberCount - 20)} more`]],
    ], items, "There is no shared subscription. Clients share one by a filter such as $share/workers/jobs/#."));
    show(main,
        h("h1", null, title),
        h("form", { class: "filters", role: "search", submit: event => { event.preventDefault(); list.first(true); } },
            field("Client", client), field("Filter, exactly", filter), field("Topic that they match", topic),
            h("button", { class: "main" }, "Search")),
        list.element,
        h("h2", null, "Shared subscriptions"),
        groups.element);
    list.first();
    groups.first();
    return () => {
        list.end();
        groups.end();
    };
}
