// The topics: retained messages as they are listed, and what is published while the page is open.

import { change, get, stream } from "./api.js";
import { confirm, run } from "./dialog.js";
import { announce, escaped, field, h, peer, redraw, select, show } from "./dom.js";
import { count, counted, moment, payload, size, time } from "./format.js";
import { mostTopics, TopicTree } from "./topictree.js";

export const title = "Topics";

const pageEntries = 1000;
const cut = 65536;

export function open(main, { may }) {
    const filter = h("input", { type: "text", name: "filter", value: "#", spellcheck: "false", autocomplete: "off" });
    const live = h("input", { type: "checkbox", name: "live", checked: true, change: () => watch() });
    const note = h("p", { class: "note", role: "status", "aria-live": "polite" });
    const state = h("span", { class: "badge" });
    const line = h("p", { class: "problem", role: "alert" });
    const detail = h("section", { class: "card detail", "aria-label": "Topic" });
    const tree = new TopicTree(choose);
    const publish = may("operator") ? publishForm(line) : null;
    let unwatch = () => {};
    let unwatchOne = () => {};
    let loading = new AbortController();
    let missed = 0;
    const ticking = setInterval(() => tree.tick(), 1000);

    async function load() {
        loading.abort();
        const mine = loading = new AbortController();
        tree.clear();
        missed = 0;
        line.textContent = "";
        choose(null);
        watch();
        let cursor;
        let messages = 0;

        try {
            do {
                const page = await get("retained", { filter: filter.value, limit: pageEntries, cursor }, mine.signal);

                for (const message of page.items)
                    tree.retained(message);

                messages += page.items.length;
                cursor = page.next;
                tree.changed();
                note.textContent = cursor ? `${counted(messages, "retained message")} so far` : told(messages);
            } while (cursor && tree.topics < mostTopics);

            if (cursor)
                note.textContent = `The first ${count(tree.topics)} topics; a narrower filter shows others.`;
        } catch (failure) {
            if (failure.name !== "AbortError") {
                note.textContent = "";
                line.textContent = failure.where ? `${failure.where}: ${failure.message}` : failure.message;
            }
        }
    }

    function told(messages) {
        return messages === 0 ? "No retained message matches. Topics appear here when something is published." : counted(messages, "retained message");
    }

    function showState(text, kind) {
        show(state, text);
        state.className = `badge ${kind}`;
    }

    function watch() {
        unwatch();
        unwatch = () => {};

        if (!live.checked) {
            showState("not live", "");
            watchOne();
            return;
        }

        showState("connecting", "");
        unwatch = stream("messages", { filter: filter.value }, batch => {
            missed += batch.missed;

            for (const message of batch.messages)
                tree.live(message);

            tree.changed();

            if (missed > 0)
                showState(`live, ${count(missed)} messages of further topics left out`, "");
        }, (isOpen, isOver) => {
            if (isOpen)
                showState("live", "good");
            else
                showState(isOver ? "not live: the broker refused it" : "connecting again", "bad");
        });
        watchOne();
    }

    // The selected topic alone has its payload in full.
    function watchOne() {
        unwatchOne();
        unwatchOne = () => {};
        const node = tree.selected;

        if (node === null || !live.checked)
            return;

        unwatchOne = stream("messages", { filter: node.topic }, batch => {
            for (const message of batch.messages)
                draw(node, { ...message, at: new Date().toISOString() });
        }, () => {});
    }

    let shown = null;

    function draw(node, message) {
        const before = shown?.node === node && shown.message ? shown.message : null;
        shown = { node, message };
        redraw(detail,
            h("h2", null, peer(node.topic)),
            message === null
                ? h("p", { class: "empty" }, node.isTopic ? "No message has arrived since this page was opened." : `A level with ${counted(node.topics, "topic")} below it.`)
                : value(node, message, before),
            may("operator") && h("p", { class: "buttons" },
                node.isRetained && h("button", { type: "button", id: "delete-one", click: () => remove(node) }, "Delete the retained message"),
                h("button", { type: "button", id: "delete-below", class: "danger", click: () => removeBelow(node) }, "Delete all below")));
    }

    function value(node, message, before) {
        const content = message.payload === undefined ? { text: "", isText: true } : payload(message.payload);
        return [
            h("p", { class: "marks" }, message.retain && h("span", { class: "mark" }, "retained"), ` QoS ${message.qos}, ${size(message.payloadBytes)}`,
                message.contentType !== undefined && [", ", peer(message.contentType)],
                message.publisherId !== undefined && [", from ", peer(message.publisherId)],
                message.expiresAt && `, expires ${moment(message.expiresAt)}`,
                message.at && `, arrived ${time(message.at)}`),
            !content.isText && h("p", { class: "note" }, "The payload is no text; these are its bytes."),
            h("pre", { tabindex: "0", "aria-label": "Payload" }, escapedLines(content.text)),
            message.payloadBytes > cut && h("p", { class: "note" }, `The first ${size(cut)} of it.`),
            before !== null && before.payload !== undefined && before.payload !== message.payload && h("p", { class: "note" }, "Before: ", peer(payload(before.payload).text.slice(0, 200)), difference(before, message)),
        ];
    }

    async function choose(node) {
        unwatchOne();
        unwatchOne = () => {};
        shown = null;

        if (node === null) {
            show(detail, h("p", { class: "empty" }, "Choose a topic to see its last value."));
            return;
        }

        publish?.choose(node.topic);
        draw(node, node.message?.payload === undefined ? null : node.message);
        watchOne();

        if (!node.isRetained)
            return;

        try {
            const message = await get("retained/message", { topic: node.topic });

            if (tree.selected === node && shown?.message === null)
                draw(node, message);
        } catch (failure) {
            if (tree.selected === node && failure.status === 404)
                tree.removed(node.topic, false);
        }
    }

    async function remove(node) {
        if (await run(line, () => change("DELETE", "retained/message", { topic: node.topic }), "The retained message is deleted.")) {
            tree.removed(node.topic, false);
            draw(node, null);
        }
    }

    async function removeBelow(node) {
        const of = `${node.topic}/#`;

        if (!await confirm("Delete the retained messages of this topic and of all below it?", ["Topic Filter: ", peer(of)], "Go on")
            || !await confirm("Are you sure?", "Every client that subscribed is told, and nothing brings them back.", "Delete", "delete"))
            return;

        let all = 0;
        await run(line, async () => {
            for (let isComplete = false; !isComplete;) {
                const answer = await change("DELETE", "retained", { filter: of });
                all += answer.removed;
                isComplete = answer.isComplete || answer.removed === 0;
            }
        }, () => `${counted(all, "retained message")} deleted.`);
        tree.removed(node.topic, true);
        draw(node, null);
    }

    show(main,
        h("div", { class: "title" }, h("h1", null, title), state),
        h("form", { class: "filters", role: "search", submit: event => { event.preventDefault(); load(); } },
            field("Topic Filter", filter, { class: "field wide" }),
            h("p", { class: "check" }, h("label", null, live, " Live values")),
            h("button", { class: "main" }, "Show")),
        line,
        h("div", { class: "split" }, h("div", null, tree.element, note), h("div", null, detail, publish?.element)));
    load();
    return () => {
        clearInterval(ticking);
        loading.abort();
        unwatch();
        unwatchOne();
        tree.end();
    };
}

// Numbers have a difference.
function difference(before, now) {
    const [one, other] = [before, now].map(message => Number.parseFloat(payload(message.payload).text));
    return Number.isFinite(one) && Number.isFinite(other) ? `, difference ${+(other - one).toPrecision(6)}` : "";
}

// Lines and tabs stay; other control characters are escaped.
function escapedLines(text) {
    return text.split(/(\r?\n|\t)/).map((part, index) => (index % 2 === 1 ? part : escaped(part))).join("");
}

function publishForm(line) {
    const topic = h("input", { type: "text", name: "publish-topic", required: true, spellcheck: "false", autocomplete: "off" });
    const text = h("textarea", { name: "payload", rows: 3, spellcheck: "false" });
    const qos = select(["0", "1", "2"], { name: "publish-qos" });
    const retain = h("input", { type: "checkbox", name: "retain" });
    const element = h("section", { class: "card", "aria-labelledby": "publish" },
        h("h2", { id: "publish" }, "Publish"),
        h("form", {
            submit: event => {
                event.preventDefault();
                run(line, () => change("POST", "publish", null, { topic: topic.value, payload: text.value, qos: Number(qos.value), retain: retain.checked }),
                    answer => `Published: ${answer.reason === "NoMatchingSubscribers" ? "no subscription matches" : "done"}.`);
            },
        },
        field("Topic", topic, { class: "field wide" }), field("Payload", text, { class: "field wide" }),
        h("div", { class: "filters" }, field("QoS", qos), h("p", { class: "check" }, h("label", null, retain, " Retain")), h("button", { class: "main" }, "Publish"))));
    return {
        element,
        choose: chosen => {
            topic.value = chosen;
            announce(`Topic ${escaped(chosen)}`);
        },
    };
}
