namespace Mqtt5

open System
open System.Globalization
open System.Text

/// Text from a peer, made safe for a line of a log or a terminal: it can neither end the line, nor move the cursor, nor
/// change the text direction, nor fill the disk.
[<RequireQualifiedAccess>]
module PeerText =

    /// The most characters of a text that are shown.
    [<Literal>]
    let MaximumCharacters = 128

    /// Whether a character is printable: not a control or format character (such as those of bidirectional text), not a
    /// line or paragraph separator, not a space other than U+0020, not unassigned.
    let internal isPrintable (rune: Rune) =
        match Rune.GetUnicodeCategory rune with
        | UnicodeCategory.Control
        | UnicodeCategory.Format
        | UnicodeCategory.Surrogate
        | UnicodeCategory.PrivateUse
        | UnicodeCategory.OtherNotAssigned
        | UnicodeCategory.LineSeparator
        | UnicodeCategory.ParagraphSeparator -> false
        | UnicodeCategory.SpaceSeparator -> rune.Value = int ' '
        | _ -> true

    let internal escapeUnit (output: StringBuilder) (unit: char) =
        output.Append("\\u").Append((int unit).ToString("x4", CultureInfo.InvariantCulture))
        |> ignore

    let private append (output: StringBuilder) (keeps: Rune -> bool) (text: string) =
        for rune in text.EnumerateRunes() do
            if keeps rune then
                output.Append(rune.ToString()) |> ignore
            else
                for unit in rune.ToString() do
                    escapeUnit output unit

    /// A text in which everything but printable characters is written as \uXXXX; it is not cut. With the flag, line ends
    /// and tabs stay as they are. For text composed of several parts, of which one may come from a peer.
    [<CompiledName("Escape")>]
    let escape (text: string) (keepsLines: bool) : string =
        let keeps (rune: Rune) =
            isPrintable rune
            || (keepsLines && (rune.Value = 0x0A || rune.Value = 0x0D || rune.Value = 0x09))

        let mutable isPlain = true

        for rune in text.EnumerateRunes() do
            isPlain <- isPlain && keeps rune

        if isPlain then
            text
        else
            let output = StringBuilder(text.Length + 16)
            append output keeps text
            output.ToString()

    // Characters with an effect: they move the cursor, end the line or change the text direction.
    let private acts (rune: Rune) =
        match Rune.GetUnicodeCategory rune with
        | UnicodeCategory.Control
        | UnicodeCategory.Format
        | UnicodeCategory.Surrogate
        | UnicodeCategory.LineSeparator
        | UnicodeCategory.ParagraphSeparator -> true
        | _ -> false

    /// A text in which control and format characters and line separators are replaced by U+FFFD. It keeps its length,
    /// for a screen with columns.
    [<CompiledName("Mask")>]
    let mask (text: string) : string =
        let mutable isPlain = true

        for rune in text.EnumerateRunes() do
            isPlain <- isPlain && not (acts rune)

        if isPlain then
            text
        else
            let output = StringBuilder(text.Length)

            for rune in text.EnumerateRunes() do
                output.Append((if acts rune then Rune.ReplacementChar else rune).ToString())
                |> ignore

            output.ToString()

    /// A text of a peer in one line: everything but printable characters is written as \uXXXX, a backslash as two, and
    /// the rest beyond <c>MaximumCharacters</c> is replaced by the length of the text.
    [<CompiledName("Show")>]
    let show (text: string) : string =
        let isPlain =
            text.Length <= MaximumCharacters
            && not (text.AsSpan().ContainsAnyExceptInRange(' ', '~'))

        if isPlain && not (text.Contains '\\') then
            text
        else
            let isCut = text.Length > MaximumCharacters
            // Not between the halves of a surrogate pair.
            let length =
                if not isCut then
                    text.Length
                elif Char.IsHighSurrogate text[MaximumCharacters - 1] then
                    MaximumCharacters - 1
                else
                    MaximumCharacters

            let output = StringBuilder(length + 32)
            append output isPrintable (text.Substring(0, length).Replace("\\", "\\\\"))

            if isCut then
                output.Append("... (").Append(text.Length).Append(" characters)") |> ignore

            output.ToString()
