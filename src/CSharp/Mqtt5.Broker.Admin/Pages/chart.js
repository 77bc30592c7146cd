// A line of the last hour, as SVG.

import { h, svg } from "./dom.js";

const width = 240;
const height = 56;

const fewest = 60;

// A tile with the value of now and its course, which is at least five minutes wide. The newest value stands last.
export function tile(name, values, formatted, href) {
    const slots = Math.max(values.length, fewest);
    const now = values.at(-1) ?? 0;
    const most = values.length === 0 ? 0 : Math.max(...values);
    const top = Math.max(most, 1) * 1.1;
    const x = index => (width * (slots - values.length + index)) / (slots - 1);
    const y = value => height - 1 - ((height - 2) * value) / top;
    const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
    const line = points.length > 1 ? `M${points.join("L")}` : "";
    const area = line && `${line}L${width},${height}L${x(0).toFixed(1)},${height}Z`;
    return h("section", { class: "tile", "data-name": name },
        h("h3", null, href ? h("a", { href }, name) : name),
        h("p", { class: "figure" }, formatted(now)),
        svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name} in the last hour: now ${formatted(now)}, at most ${formatted(most)}` },
            svg("line", { x1: 0, y1: height - 0.5, x2: width, y2: height - 0.5, class: "axis", "vector-effect": "non-scaling-stroke" }),
            area && svg("path", { d: area, class: "area" }),
            line && svg("path", { d: line, class: "line", "vector-effect": "non-scaling-stroke" })),
        h("p", { class: "note" }, `at most ${formatted(most)} in the last hour`));
}
