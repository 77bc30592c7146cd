// A list that comes in pages with cursors.

import { get } from "./api.js";
import { announce, h, show } from "./dom.js";
import { counted } from "./format.js";

// Asks for the first page of a path with the query that is given at the time, and again where a button is pressed. Entries are
// drawn by a function of them.
export function pages(path, query, noun, draw, limit = 100) {
    const content = h("div", { "aria-busy": "true" });
    const note = h("p", { class: "note" });
    const back = h("button", { type: "button", click: () => turn(-1) }, "Previous");
    const next = h("button", { type: "button", click: () => turn(1) }, "Next");
    const bar = h("div", { class: "paging" }, note, back, next);
    let cursors = [""];
    let following = null;
    let number = 0;
    let ending = new AbortController();

    function turn(step) {
        if (step > 0) {
            cursors.push(following);
        } else {
            cursors.pop();
        }

        return load(true);
    }

    // A link that has the focus keeps it if it is there again, for those who use the keyboard.
    function redraw(entries) {
        const held = content.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        show(content, entries);

        if (held !== null)
            [...content.querySelectorAll("a")].find(link => link.getAttribute("href") === held)?.focus();
    }

    // Says how many there are, if the user asked for them.
    async function load(isAsked) {
        const mine = ++number;
        ending.abort();
        ending = new AbortController();
        content.setAttribute("aria-busy", "true");

        try {
            const page = await get(path, { limit, cursor: cursors.at(-1), ...query() }, ending.signal);

            if (mine !== number)
                return;

            following = page.next ?? null;
            redraw(draw(page.items));
            const where = cursors.length > 1 || following ? `page ${cursors.length}, ` : "";
            note.textContent = `${where}${counted(page.items.length, noun)}${following && page.items.length < limit ? ", the search goes on with Next" : ""}`;

            if (isAsked)
                announce(note.textContent);
        } catch (failure) {
            if (mine !== number || failure.name === "AbortError")
                return;

            following = null;
            show(content, h("p", { class: "problem", role: "alert" }, failure.message));
            note.textContent = "";
        }

        back.disabled = cursors.length === 1;
        next.disabled = following === null;
        bar.hidden = back.disabled && next.disabled && note.textContent === "";
        content.setAttribute("aria-busy", "false");
    }

    return {
        element: h("div", null, content, bar),
        first: isAsked => {
            cursors = [""];
            return load(isAsked);
        },
        end: () => {
            number++;
            ending.abort();
        },
    };
}
