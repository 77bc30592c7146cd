// The topics as a tree, of which only the rows that can be seen are in the document.

import { h, peer, show } from "./dom.js";
import { count, payload, rate, size } from "./format.js";

const rowHeight = 28;
const margin = 10;
const previewLetters = 120;

export const mostTopics = 100000;

class Node {
    constructor(parent, name) {
        this.parent = parent;
        this.name = name;
        this.topic = parent === null ? null : parent.topic === null ? name : `${parent.topic}/${name}`;
        this.level = parent === null ? 0 : parent.level + 1;
        this.children = new Map();
        this.sorted = null;
        this.isOpen = parent === null;
        this.isTopic = false;
        this.isRetained = false;
        this.topics = 0;
        this.count = 0;
        this.rate = 0;
        this.message = null;
    }
}

export class TopicTree {
    constructor(onSelect) {
        this.root = new Node(null, "");
        this.onSelect = onSelect;
        this.rows = [];
        this.active = 0;
        this.selected = null;
        this.busy = new Set();
        this.frame = 0;
        this.elements = new Map();
        this.made = 0;
        this.body = h("div", { class: "rows", role: "presentation" });
        this.element = h("div", { class: "tree", role: "tree", tabindex: "0", "aria-label": "Topics", keydown: event => this.key(event), scroll: () => this.draw(), click: event => this.click(event) }, this.body);
        this.resized = new ResizeObserver(() => this.draw());
        this.resized.observe(this.element);
    }

    get topics() {
        return this.root.topics;
    }

    clear() {
        this.root = new Node(null, "");
        this.selected = null;
        this.active = 0;
        this.busy.clear();
        this.changed();
    }

    end() {
        cancelAnimationFrame(this.frame);
        this.resized.disconnect();
    }

    // The node of a topic; null: there are as many as are kept.
    add(topic) {
        let node = this.root;

        for (const name of topic.split("/")) {
            let child = node.children.get(name);

            if (child === undefined) {
                if (this.root.topics >= mostTopics)
                    return null;

                child = new Node(node, name);
                node.children.set(name, child);
                node.sorted = null;
            }

            node = child;
        }

        if (!node.isTopic) {
            node.isTopic = true;

            for (let one = node; one !== null; one = one.parent)
                one.topics++;
        }

        return node;
    }

    retained(message) {
        const node = this.add(message.topic);

        if (node !== null) {
            node.isRetained = true;
            node.message ??= message;
        }
    }

    // Removes the marks of retained messages of a topic and, if asked for, of those below it.
    removed(topic, isBelow) {
        const node = this.find(topic);
        const unmark = one => {
            one.isRetained = false;

            if (isBelow)
                one.children.forEach(unmark);
        };

        if (node !== null)
            unmark(node);

        this.changed();
    }

    find(topic) {
        let node = this.root;

        for (const name of topic.split("/")) {
            node = node.children.get(name);

            if (node === undefined)
                return null;
        }

        return node;
    }

    live(message) {
        const node = this.add(message.topic);

        if (node === null)
            return;

        node.message = { ...message, at: new Date().toISOString() };

        if (message.retain)
            node.isRetained = message.payloadBytes > 0;

        for (let one = node; one !== null; one = one.parent) {
            one.count += message.count;
            this.busy.add(one);
        }
    }

    // Messages a second, smoothed; called once a second.
    tick() {
        for (const node of this.busy) {
            node.rate = node.rate === 0 ? node.count : 0.6 * node.rate + 0.4 * node.count;
            node.count = 0;

            if (node.rate < 0.05) {
                node.rate = 0;
                this.busy.delete(node);
            }
        }

        this.draw();
    }

    // Lists the rows again in the next frame.
    changed() {
        this.frame ||= requestAnimationFrame(() => this.relist());
    }

    relist() {
        cancelAnimationFrame(this.frame);
        this.frame = 0;
        const current = this.rows[this.active];
        this.rows = [];
        this.list(this.root);
        this.active = Math.max(0, current === undefined ? 0 : this.rows.indexOf(current));
        this.draw();
    }

    list(node) {
        node.sorted ??= [...node.children.values()].sort((one, other) => (one.name < other.name ? -1 : 1));

        for (const child of node.sorted) {
            this.rows.push(child);

            if (child.isOpen && child.children.size > 0)
                this.list(child);
        }
    }

    draw() {
        const first = Math.max(0, Math.floor(this.element.scrollTop / rowHeight) - margin);
        const last = Math.min(this.rows.length, first + Math.ceil(this.element.clientHeight / rowHeight) + 2 * margin);
        const shown = this.rows.slice(first, last).map((node, index) => this.row(node, first + index));
        this.body.style.height = `${this.rows.length * rowHeight}px`;
        this.elements = new Map(shown.map(row => [row.node, row]));

        // A row that stays is not taken out, or a click that has begun in it would be lost.
        if (shown.length !== this.body.children.length || shown.some((row, index) => row.element !== this.body.children[index]))
            show(this.body, shown.map(row => row.element));

        const active = this.elements.get(this.rows[this.active]);

        if (active !== undefined)
            this.element.setAttribute("aria-activedescendant", active.element.id);
        else
            this.element.removeAttribute("aria-activedescendant");
    }

    // The row of a node, which is changed only where it differs from what is shown.
    row(node, index) {
        const before = this.elements.get(node);
        const row = before ?? { node, element: h("div", { role: "treeitem", id: `topic-${++this.made}` }), message: undefined, text: "" };
        const isBranch = node.children.size > 0;
        const text = [index, index === this.active, node === this.selected, isBranch && node.isOpen, node.topics, node.isRetained, node.rate > 0 && rate(node.rate)].join();

        if (text === row.text && node.message === row.message)
            return row;

        const { element } = row;
        [row.text, row.message] = [text, node.message];
        element.className = index === this.active ? "row active" : "row";
        element.dataset.index = index;
        element.setAttribute("aria-level", node.level);
        element.setAttribute("aria-selected", String(node === this.selected));
        element.style.top = `${index * rowHeight}px`;
        element.style.setProperty("--level", node.level);

        if (isBranch)
            element.setAttribute("aria-expanded", String(node.isOpen));

        show(element,
            h("span", { class: "twist", "aria-hidden": "true" }, isBranch ? (node.isOpen ? "▾" : "▸") : ""),
            h("span", { class: "name" }, peer(node.name)),
            isBranch && h("span", { class: "note" }, count(node.topics)),
            node.isRetained && h("span", { class: "mark" }, "retained"),
            h("span", { class: "preview" }, preview(node.message)),
            node.rate > 0 && h("span", { class: "rate" }, `${rate(node.rate)}/s`));
        return row;
    }

    click(event) {
        const row = event.target.closest("[data-index]");

        if (row === null)
            return;

        this.active = Number(row.dataset.index);
        const node = this.rows[this.active];

        if (event.target.closest(".twist") || node === this.selected || !node.isTopic)
            this.toggle(node, !node.isOpen);

        this.select(node);
    }

    toggle(node, isOpen) {
        if (node.children.size > 0 && node.isOpen !== isOpen) {
            node.isOpen = isOpen;
            this.relist();
        }
    }

    select(node) {
        if (node !== this.selected) {
            this.selected = node;
            this.onSelect(node);
        }

        this.draw();
    }

    go(index) {
        this.active = Math.max(0, Math.min(this.rows.length - 1, index));
        const top = this.active * rowHeight;

        if (top < this.element.scrollTop)
            this.element.scrollTop = top;
        else if (top + rowHeight > this.element.scrollTop + this.element.clientHeight)
            this.element.scrollTop = top + rowHeight - this.element.clientHeight;

        this.draw();
    }

    // The keys of a tree.
    key(event) {
        const node = this.rows[this.active];

        if (node === undefined || event.altKey || event.ctrlKey || event.metaKey)
            return;

        const page = Math.max(1, Math.floor(this.element.clientHeight / rowHeight) - 1);
        const keys = {
            ArrowDown: () => this.go(this.active + 1),
            ArrowUp: () => this.go(this.active - 1),
            PageDown: () => this.go(this.active + page),
            PageUp: () => this.go(this.active - page),
            Home: () => this.go(0),
            End: () => this.go(this.rows.length - 1),
            ArrowRight: () => (node.isOpen || node.children.size === 0 ? node.children.size > 0 && this.go(this.active + 1) : this.toggle(node, true)),
            ArrowLeft: () => (node.isOpen && node.children.size > 0 ? this.toggle(node, false) : node.parent !== this.root && this.go(this.rows.indexOf(node.parent))),
            Enter: () => this.select(node),
            " ": () => this.select(node),
        };

        if (keys[event.key]) {
            event.preventDefault();
            keys[event.key]();
        }
    }
}

function preview(message) {
    if (message === null)
        return "";

    if (message.payload === undefined)
        return size(message.payloadBytes);

    const { text, isText } = payload(message.payload);
    return isText ? peer(text.slice(0, previewLetters)) : size(message.payloadBytes);
}
