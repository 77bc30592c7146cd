// Figures and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

export function count(number) {
    return whole.format(number);
}

export function rate(number) {
    return (number < 100 ? tenth : whole).format(number);
}

export function counted(number, noun) {
    return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function size(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let index = 0;

    for (; bytes >= 1024 && index < units.length - 1; index++)
        bytes /= 1024;

    return `${index === 0 ? count(bytes) : tenth.format(bytes)} ${units[index]}`;
}

export function duration(seconds) {
    const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const texts = [];

    for (const [length, unit] of parts) {
        const part = Math.floor(seconds / length);
        seconds -= part * length;

        if (part > 0)
            texts.push(`${part} ${unit}`);
    }

    return texts.slice(0, 2).join(" ") || "0 s";
}

export function time(text) {
    return clock.format(new Date(text));
}

export function moment(text) {
    return day.format(new Date(text));
}

// The bytes of base64 as text, or as hexadecimal where they are no text.
export function payload(base64) {
    const bytes = Uint8Array.from(atob(base64), letter => letter.charCodeAt(0));

    try {
        return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), isText: true };
    } catch {
        return { text: Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(" "), isText: false };
    }
}
