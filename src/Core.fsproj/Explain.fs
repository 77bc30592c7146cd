namespace Mqtt5

open System
open System.Collections.Generic
open System.Text

/// Shows faults to people: the bytes in hexadecimal with a caret under the offending one, and what is wrong
/// with it. The text depends on nothing but the arguments. A line ends with a line feed; the last one does not.
[<RequireQualifiedAccess>]
module Explain =

    // Bytes in a row, the longest frame that is shown in full, and the rows above and below the fault that are
    // shown of a longer one.
    [<Literal>]
    let private RowBytes = 16

    [<Literal>]
    let private WholeBytes = 256

    [<Literal>]
    let private RowsAround = 4

    [<Struct; NoComparison; NoEquality>]
    type private Field = { Start: int; Length: int; Name: string }

    // The part of a frame that is shown: the rows from First up to and without End, besides row 0.
    [<Struct; NoComparison; NoEquality>]
    type private Window =
        {
            First: int
            End: int
            Rows: int
        }

        member this.Shows row = row = 0 || (row >= this.First && row < this.End)

    let private window length caret =
        let rows = (length + RowBytes - 1) / RowBytes

        if length <= WholeBytes then
            { First = 0; End = rows; Rows = rows }
        else
            let row = (if caret < 0 then 0 else min caret (length - 1)) / RowBytes

            { First = max 0 (row - RowsAround); End = min rows (row + RowsAround + 1); Rows = rows }

    // The fields and secrets that touch what is shown, and the offset from which on all is secret.
    let private read version (frame: ReadOnlyMemory<byte>) window showSecrets =
        let fields = List<Field>()
        let secrets = List<struct (int * int)>()
        let first = window.First * RowBytes
        let stop = window.End * RowBytes

        let touches start length = start < RowBytes || (start < stop && start + length > first)

        let hiddenFrom =
            Layout.visit
                {
                    Version = version
                    Frame = frame
                    Visit =
                        fun start length name ->
                            if touches start length then
                                fields.Add { Start = start; Length = length; Name = name }
                    Hide =
                        fun start length ->
                            if touches start length then
                                secrets.Add(struct (start, start + length))
                }

        if showSecrets then
            struct (fields, fun _ -> false)
        else
            let hidden = Array.init (stop - first + RowBytes) (fun _ -> false)
            // Row 0 stands at the end of the array, the other rows before it.
            let index at = if at >= first && at < stop then at - first else stop - first + at

            for struct (start, secretStop) in secrets do
                for at in start .. min secretStop RowBytes - 1 do
                    hidden[index at] <- true

                for at in max start first .. min secretStop stop - 1 do
                    hidden[index at] <- true

            struct (fields, fun at -> at >= hiddenFrom || hidden[index at])

    let private column at = at * 3 + (if at >= RowBytes / 2 then 1 else 0)

    let private addRow (text: StringBuilder) frameOffset (frame: ReadOnlyMemory<byte>) isHidden row =
        let start = row * RowBytes
        let count = min RowBytes (frame.Length - start)
        text.Append((frameOffset + int64 start).ToString "X8").Append("  ") |> ignore
        let left = text.Length

        for at in 0 .. count - 1 do
            text.Append(' ', left + column at - text.Length) |> ignore

            if isHidden (start + at) then
                text.Append "**" |> ignore
            else
                text.Append(frame.Span[start + at].ToString "X2") |> ignore

        text.Append(' ', left + column RowBytes + 1 - text.Length) |> ignore

        for at in 0 .. count - 1 do
            let value = frame.Span[start + at]

            let shown =
                if isHidden (start + at) then '*'
                elif value >= 0x20uy && value < 0x7Fuy then char value
                else '.'

            text.Append shown |> ignore

        text.Append '\n' |> ignore

    let private addCaret (text: StringBuilder) at (note: string) =
        text.Append(' ', 10 + column (at % RowBytes)).Append("^^ ").Append(note).Append('\n')
        |> ignore

    let private plural (count: int64) (noun: string) = if count = 1L then $"1 {noun}" else $"{count} {noun}s"

    // All rows of the window, the caret under its byte, and a count for what is left out.
    let private addRows text frameOffset (frame: ReadOnlyMemory<byte>) window isHidden caret (note: string) =
        let mutable row = 0

        while row < window.Rows do
            if window.Shows row then
                addRow text frameOffset frame isHidden row

                if caret >= 0 && caret / RowBytes = row then
                    addCaret text caret note

                row <- row + 1
            else
                let next = if row < window.First then window.First else window.Rows
                let bytes = min frame.Length (next * RowBytes) - row * RowBytes

                text
                    .Append("          ... ")
                    .Append(plural (int64 (next - row)) "row")
                    .Append(" with ")
                    .Append(plural (int64 bytes) "byte")
                    .Append(" left out ...\n")
                |> ignore

                row <- next

        // The byte that is missing stands first in a row of its own.
        if caret >= 0 && caret / RowBytes >= window.Rows then
            text.Append((frameOffset + int64 caret).ToString "X8").Append('\n') |> ignore
            addCaret text caret note

    // The fields next to the caret, two before and two after.
    let private addFields (text: StringBuilder) frameOffset (fields: List<Field>) caret =
        let at = fields.FindIndex(fun field -> caret >= field.Start && caret < field.Start + field.Length)
        // Behind the last field that could be read: those before it.
        let at = if at >= 0 then at else max 0 (fields.Count - 1)

        for index in max 0 (at - 2) .. min (fields.Count - 1) (at + 2) do
            let field = fields[index]
            let here = caret >= field.Start && caret < field.Start + field.Length
            let first = frameOffset + int64 field.Start

            let range =
                if field.Length = 1 then
                    $"byte {first}"
                else
                    $"bytes {first} to {first + int64 field.Length - 1L}"

            text
                .Append(if index = max 0 (at - 2) then "fields  " else "        ")
                .Append(range)
                .Append(": ")
                .Append(field.Name)
                .Append(if here then ", here" else "")
                .Append('\n')
            |> ignore

    let private heading
        (version: ProtocolVersion)
        (text: StringBuilder)
        frameOffset
        (frame: ReadOnlyMemory<byte>)
        =
        text
            .Append((Spec.packet (Layout.packetType frame)).Name)
            .Append(if version.IsV5 then "" else $" of {(Spec.version version).Name}")
            .Append(": ")
            .Append(plural (int64 frame.Length) "byte")
            .Append(" from byte ")
            .Append(frameOffset: int64)
            .Append('\n')
        |> ignore

    let private render version showSecrets (frameOffset: int64) (frame: ReadOnlyMemory<byte>) (fault: Fault) =
        let relative = fault.Offset - frameOffset

        let caret =
            if fault.Offset >= 0L && relative >= 0L && relative <= int64 frame.Length then
                int relative
            else
                -1

        let window = window frame.Length caret
        let struct (fields, isHidden) = read version frame window showSecrets
        let text = StringBuilder()
        heading version text frameOffset frame

        addRows
            text
            frameOffset
            frame
            window
            isHidden
            caret
            (if caret = frame.Length then
                 fault.Field + ", after the last byte"
             else
                 fault.Field)

        if caret >= 0 then
            addFields text frameOffset fields caret

        let where =
            if fault.Offset < 0L then "not found in bytes"
            elif caret < 0 then $"byte {fault.Offset}, which is not among these"
            else $"byte {fault.Offset}"

        text
            .Append("reason  0x")
            .Append((byte fault.Reason).ToString "X2")
            .Append(' ')
            .Append(Spec.reasonTitle fault.Packet fault.Reason)
            .Append("\nfield   ")
            .Append(fault.Field)
            .Append("\nat      ")
            .Append(where)
            .Append("\nclause  ")
            .Append(fault.Clause)
            .Append("\ndetail  ")
            .Append(fault.Detail)
            .ToString()

    /// Explains a fault that was found in a frame: its bytes with a caret under the offending one, the fields
    /// next to it, reason code, field, offset, clause and detail. Passwords and Authentication Data are shown as
    /// <c>**</c>; where the frame cannot be read far enough to know where they stand, so is all from the first
    /// byte that could belong to one. Of more than 256 bytes only the rows around the fault are shown.
    /// <paramref name="frameOffset"/> is the offset of the frame's first byte from the start of the stream. Any
    /// bytes and any fault give a text.
    [<CompiledName "Fault">]
    let fault (frameOffset: int64) (frame: ReadOnlyMemory<byte>) (fault: Fault) : string =
        render ProtocolVersion.V5 false frameOffset frame fault

    /// As <c>Fault</c>, of a frame on a connection of this version.
    [<CompiledName "FaultIn">]
    let faultIn
        (version: ProtocolVersion)
        (frameOffset: int64)
        (frame: ReadOnlyMemory<byte>)
        (fault: Fault)
        : string =
        render version false frameOffset frame fault

    /// As <c>Fault</c>, but with passwords and Authentication Data in full. Never log it.
    [<CompiledName "FaultWithSecrets">]
    let faultWithSecrets (frameOffset: int64) (frame: ReadOnlyMemory<byte>) (fault: Fault) : string =
        render ProtocolVersion.V5 true frameOffset frame fault

    /// As <c>FaultWithSecrets</c>, of a frame on a connection of this version. Never log it.
    [<CompiledName "FaultWithSecretsIn">]
    let faultWithSecretsIn
        (version: ProtocolVersion)
        (frameOffset: int64)
        (frame: ReadOnlyMemory<byte>)
        (fault: Fault)
        : string =
        render version true frameOffset frame fault

    /// Explains a truncated packet on a connection of this version: the fields that are present, and the number of
    /// missing bytes. Secrets are hidden as in <c>FaultIn</c> unless <paramref name="showSecrets"/> is set.
    [<CompiledName "CutOffIn">]
    let cutOffIn
        (version: ProtocolVersion)
        (showSecrets: bool)
        (frameOffset: int64)
        (start: ReadOnlyMemory<byte>)
        : string =
        let caret = start.Length
        let window = window start.Length caret
        let struct (fields, isHidden) = read version start window showSecrets
        let text = StringBuilder()
        heading version text frameOffset start
        addRows text frameOffset start window isHidden caret "the bytes end here"
        addFields text frameOffset fields caret

        let missing =
            match Layout.announced start with
            | -1L -> "the end of the fixed header, and with it the size of the packet"
            | size -> plural (size - int64 start.Length) "byte" + $" of {size}"

        text.Append("missing ").Append(missing).ToString()

    /// As <c>CutOffIn</c>, on a connection of MQTT 5.
    [<CompiledName "CutOff">]
    let cutOff (showSecrets: bool) (frameOffset: int64) (start: ReadOnlyMemory<byte>) : string =
        cutOffIn ProtocolVersion.V5 showSecrets frameOffset start

    /// The size in bytes of the packet whose fixed header stands at the start of these bytes, if that is there
    /// and its Remaining Length can be read, else -1. Nothing else of it is judged: for finding the next packet
    /// when the fault is in the first byte.
    [<CompiledName "AnnouncedBytes">]
    let announcedBytes (start: ReadOnlyMemory<byte>) : int64 = Layout.announced start
