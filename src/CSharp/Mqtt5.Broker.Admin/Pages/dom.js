// Elements are made here, and text becomes a text node, whatever is in it.

const svgNamespace = "http://www.w3.org/2000/svg";

// Control characters, marks of direction and invisible characters, which would hide or turn around what follows.
const hidden = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

// An element. A function among the attributes is a listener of the event of that name; false and null leave an attribute out.
export function h(tag, attributes, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
    return fill(document.createElementNS(svgNamespace, tag), attributes, children);
}

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (typeof value === "function")
            element.addEventListener(name, value);
        else if (value === true)
            element.setAttribute(name, "");
        else if (value !== false && value !== null && value !== undefined)
            element.setAttribute(name, value);
    }

    element.append(...children.flat(9).filter(child => child !== null && child !== undefined && child !== false));
    return element;
}

export function escaped(text) {
    return text.replace(hidden, letter => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"));
}

// Text that a client chose: isolated from the direction of the text around it.
export function peer(text) {
    return h("bdi", { class: "peer" }, text === "" ? h("i", null, "empty") : escaped(text));
}

export function show(element, ...children) {
    element.replaceChildren(...children.flat(9).filter(child => child !== null && child !== undefined && child !== false));
    return element;
}

// As show, for a part that is drawn again while it is used: the focus stays on the element with the same id, link or name.
export function redraw(element, ...children) {
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    const top = new Map([...element.querySelectorAll("[aria-label]")].map(one => [one.getAttribute("aria-label"), [one.scrollLeft, one.scrollTop]]));
    show(element, ...children);

    for (const one of element.querySelectorAll("[aria-label]"))
        [one.scrollLeft, one.scrollTop] = top.get(one.getAttribute("aria-label")) ?? [0, 0];

    if (focused === null)
        return element;

    const attribute = ["id", "href", "aria-label"].find(name => focused.hasAttribute(name));

    if (attribute)
        element.querySelector(`[${attribute}="${CSS.escape(focused.getAttribute(attribute))}"]`)?.focus({ preventScroll: true });

    return element;
}

// Says a change to those who listen to the page.
export function announce(text) {
    const region = document.getElementById("status");

    if (region)
        region.textContent = text;
}

let fields = 0;

// A control with its label.
export function field(label, control, attributes) {
    control.id ||= `field-${++fields}`;
    return h("div", { class: "field", ...attributes }, h("label", { for: control.id }, label), control);
}

// A choice of [value, text]; a text alone is both.
export function select(options, attributes) {
    return h("select", attributes, options.map(option => (Array.isArray(option) ? option : [option, option])).map(([value, text]) => h("option", { value }, text)));
}

// A table whose columns are [heading, class, cell of a row].
export function table(caption, columns, rows, empty) {
    if (rows.length === 0)
        return h("p", { class: "empty" }, empty);

    return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
        h("table", null,
            h("caption", { class: "unseen" }, caption),
            h("thead", null, h("tr", null, columns.map(([heading, kind]) => h("th", { scope: "col", class: kind }, heading)))),
            h("tbody", null, rows.map(row => h("tr", null, columns.map(([, kind, cell], index) =>
                h(index === 0 ? "th" : "td", { class: kind, scope: index === 0 ? "row" : null }, cell(row))))))));
}
