namespace Mqtt5

open System

/// Tells which bytes of a frame are which field, as far as the frame lets itself be read. It judges nothing:
/// it follows lengths and flags only, so it also gets through most packets that the grammar refuses.
module internal Layout =

    // What is done with a frame while it is read.
    [<Struct; NoComparison; NoEquality>]
    type Walk =
        {
            /// The version of the connection; a CONNECT goes by the one that it says.
            Version: ProtocolVersion
            /// The frame.
            Frame: ReadOnlyMemory<byte>
            /// Called for each field in order with start, length and name.
            Visit: int -> int -> string -> unit
            /// Called for each stretch that holds a secret with start and length.
            Hide: int -> int -> unit
        }

    // Every step takes the offset where it begins and returns the offset after it, or this when it does not fit.
    [<Literal>]
    let private Lost = -1

    let private fixedBytes walk name count limit at =
        if at < 0 || at + count > limit then
            Lost
        else
            walk.Visit at count name
            at + count

    // A Two Byte Integer and as many bytes as it says.
    let private prefixed walk name secret limit at =
        if at < 0 || at + 2 > limit then
            Lost
        else
            let length = Wire.twoByteInteger walk.Frame.Span at

            if secret && length > 0 then
                walk.Hide (at + 2) (min length (limit - at - 2))

            fixedBytes walk name (2 + length) limit at

    // The offset after a Variable Byte Integer, and its value.
    let private variable (walk: Walk) limit at : struct (int * int) =
        let mutable value = 0
        let mutable next = at
        let mutable reading = at >= 0

        while reading do
            if next >= limit || next - at > 3 then
                next <- Lost
                reading <- false
            else
                let digit = int walk.Frame.Span[next]
                value <- value ||| ((digit &&& 0x7F) <<< (7 * (next - at)))
                next <- next + 1
                reading <- digit >= 0x80

        struct ((if at < 0 then Lost else next), value)

    let private propertyValue walk (rule: PropertyRule) limit at =
        match rule.Shape with
        | Shape.Byte
        | Shape.Switch -> fixedBytes walk rule.Title 1 limit at
        | Shape.TwoByteInteger -> fixedBytes walk rule.Title 2 limit at
        | Shape.FourByteInteger -> fixedBytes walk rule.Title 4 limit at
        | Shape.VariableByteInteger ->
            let struct (next, _) = variable walk limit at

            if next >= 0 then
                walk.Visit at (next - at) rule.Title

            next
        | Shape.Utf8EncodedString
        | Shape.TopicNameString -> prefixed walk rule.Title false limit at
        | Shape.BinaryData -> prefixed walk rule.Title (rule.Id = PropertyId.AuthenticationData) limit at
        | Shape.Utf8StringPair ->
            at
            |> prefixed walk rule.Title false limit
            |> prefixed walk rule.Title false limit

    let private holdsSecret scope = scope &&& (Scope.Connect ||| Scope.Connack ||| Scope.Auth) <> Scope.None

    let private isText (text: ReadOnlySpan<byte>) =
        Text.Unicode.Utf8.IsValid text && text.IndexOfAnyInRange(0uy, 0x1Fuy) < 0

    // A string beside a secret. What is no text may be the secret, under a length or a flag that is wrong.
    let private textOrSecret walk name limit at =
        let next = prefixed walk name false limit at

        if next >= 0 && not (isText (walk.Frame.Span.Slice(at + 2, next - at - 2))) then
            walk.Hide (at + 2) (next - at - 2)

        next

    // False for a string that took in the property after it: that would begin with 0x16, a control character.
    let private isPlain (rule: PropertyRule) (value: ReadOnlySpan<byte>) =
        match rule.Shape with
        | Shape.Utf8EncodedString
        | Shape.TopicNameString -> isText (value.Slice 2)
        | Shape.Utf8StringPair ->
            let nameStop = 2 + Wire.twoByteInteger value 0
            isText (value.Slice(2, nameStop - 2)) && isText (value.Slice(nameStop + 2))
        | _ -> true

    let private propertySection walk scope title limit at =
        let struct (start, length) = variable walk limit at

        if start < 0 then
            Lost
        else
            walk.Visit at (start - at) title

            if length > limit - start then
                Lost
            else
                let stop = start + length
                let mutable next = start
                let mutable seen = 0UL

                while next >= 0 && next < stop do
                    match Spec.tryProperty walk.Frame.Span[next] with
                    | ValueNone -> next <- Lost
                    | ValueSome rule ->
                        walk.Visit next 1 "Property Identifier"
                        let value = next + 1
                        next <- propertyValue walk rule stop value
                        let bit = 1UL <<< int rule.Id

                        // It may be Authentication Data under a wrong identifier, or hold it by a wrong length.
                        let doubtful =
                            rule.Scopes &&& scope = Scope.None
                            || (seen &&& bit <> 0UL && rule.Repeatable &&& scope = Scope.None)
                            || (next >= 0 && not (isPlain rule (walk.Frame.Span.Slice(value, next - value))))

                        if doubtful && next >= 0 && holdsSecret scope then
                            walk.Hide value (next - value)

                        seen <- seen ||| bit

                next

    // Before MQTT 5 there are none.
    let private properties (walk: Walk) scope title limit at =
        match walk.Version with
        | ProtocolVersion.V5 -> propertySection walk scope title limit at
        | _ -> at

    let private propertyLength = "Property Length"

    // Fields that repeat up to the end of the packet.
    let private repeated step limit at =
        let mutable next = at

        while next >= 0 && next < limit do
            next <- step next

        next

    let private connect (connection: Walk) limit body =
        let protocol = Greeting.find connection.Frame.Span

        let walk =
            match protocol with
            | ValueSome protocol -> { connection with Version = protocol.Version }
            | ValueNone -> connection

        let head =
            body
            |> prefixed walk "Protocol Name" false limit
            |> fixedBytes walk "Protocol Version" 1 limit

        // A version that is not known has other fields from here on.
        if head < 0 || protocol.IsNone || head >= limit then
            Lost
        else
            let flags = walk.Frame.Span[head]
            let onlyIf bit step at = if flags &&& bit = 0uy then at else step at

            head
            |> fixedBytes walk "Connect Flags" 1 limit
            |> fixedBytes walk "Keep Alive" 2 limit
            |> properties walk Scope.Connect propertyLength limit
            |> textOrSecret walk "Client Identifier" limit
            |> onlyIf 0x04uy (properties walk Scope.Will "Will Property Length" limit)
            |> onlyIf 0x04uy (textOrSecret walk "Will Topic" limit)
            |> onlyIf 0x04uy (prefixed walk "Will Payload" true limit)
            // One wrong flag makes the Password the User Name.
            |> onlyIf 0x80uy (prefixed walk "User Name" true limit)
            |> onlyIf 0x40uy (prefixed walk "Password" true limit)

    let private publish walk limit body =
        let quality = (walk.Frame.Span[0] >>> 1) &&& 0x03uy

        let payload =
            body
            |> prefixed walk "Topic Name" false limit
            |> (fun at ->
                if quality = 0uy then
                    at
                else
                    fixedBytes walk "Packet Identifier" 2 limit at)
            |> properties walk Scope.Publish propertyLength limit

        if payload < 0 || payload = limit then
            payload
        else
            fixedBytes walk "Payload" (limit - payload) limit payload

    // A reason code and properties, of which the end may be missing; before MQTT 5 neither.
    let private outcome (walk: Walk) scope limit at =
        if at = limit || not walk.Version.IsV5 then
            at
        else
            let next = fixedBytes walk "Reason Code" 1 limit at

            if next = limit then
                next
            else
                properties walk scope propertyLength limit next

    let private identified walk scope step limit body =
        body
        |> fixedBytes walk "Packet Identifier" 2 limit
        |> properties walk scope propertyLength limit
        |> repeated step limit

    let private body (walk: Walk) (packetType: PacketType) limit at =
        let scope = Spec.scopeOf packetType
        let named name before5 = if walk.Version.IsV5 then name else before5

        match packetType with
        | PacketType.Connect -> connect walk limit at
        | PacketType.Connack ->
            at
            |> fixedBytes walk "Connect Acknowledge Flags" 1 limit
            |> fixedBytes walk (named "Connect Reason Code" "Connect Return Code") 1 limit
            |> properties walk scope propertyLength limit
        | PacketType.Publish -> publish walk limit at
        | PacketType.Puback
        | PacketType.Pubrec
        | PacketType.Pubrel
        | PacketType.Pubcomp ->
            match fixedBytes walk "Packet Identifier" 2 limit at with
            | Lost -> Lost
            | next -> outcome walk scope limit next
        | PacketType.Subscribe ->
            let subscription at =
                at
                |> prefixed walk "Topic Filter" false limit
                |> fixedBytes walk (named "Subscription Options" "Requested QoS") 1 limit

            identified walk scope subscription limit at
        | PacketType.Unsubscribe -> identified walk scope (prefixed walk "Topic Filter" false limit) limit at
        | PacketType.Unsuback when not walk.Version.IsV5 -> fixedBytes walk "Packet Identifier" 2 limit at
        | PacketType.Auth when not walk.Version.IsV5 -> Lost
        | PacketType.Suback
        | PacketType.Unsuback ->
            identified walk scope (fixedBytes walk (named "Reason Code" "Return Code") 1 limit) limit at
        | PacketType.Disconnect
        | PacketType.Auth -> outcome walk scope limit at
        | PacketType.Pingreq
        | PacketType.Pingresp -> at
        | _ -> Lost

    /// The packet type that the first byte names; <c>Reserved</c> for no bytes.
    let packetType (frame: ReadOnlyMemory<byte>) : PacketType =
        if frame.IsEmpty then
            PacketType.Reserved
        else
            LanguagePrimitives.EnumOfValue(frame.Span[0] >>> 4)

    /// The size of the whole packet that the fixed header announces, or -1 when it is not all there or wrong.
    let announced (frame: ReadOnlyMemory<byte>) : int64 =
        let walk =
            {
                Version = ProtocolVersion.V5
                Frame = frame
                Visit = (fun _ _ _ -> ())
                Hide = (fun _ _ -> ())
            }

        let struct (start, length) = variable walk frame.Length 1
        if start < 0 then -1L else int64 start + int64 length

    // The least offset where a secret of a packet can stand. A CONNECT has at least ten bytes before its
    // properties, a CONNACK two and an AUTH one.
    let private earliestSecret packetType body =
        match packetType with
        | PacketType.Connect -> body + 10
        | PacketType.Connack -> body + 2
        | PacketType.Auth -> body + 1
        | _ -> Int32.MaxValue

    /// Goes through the fields of a frame and returns the offset from which on all bytes have to be hidden,
    /// besides those that <c>Hide</c> was called for. Where the fields do not fill the frame exactly, a length
    /// or a flag is wrong, and a secret may stand anywhere from the least possible offset on.
    let visit (walk: Walk) : int =
        let frame = walk.Frame

        if frame.IsEmpty then
            Int32.MaxValue
        else
            let kind = packetType frame
            walk.Visit 0 1 "Packet Type and Flags"
            let struct (start, length) = variable walk frame.Length 1

            if start < 0 then
                earliestSecret kind 2
            else
                walk.Visit 1 (start - 1) "Remaining Length"
                let limit = int (min (int64 start + int64 length) (int64 frame.Length))
                let stop = body walk kind limit start

                if stop = frame.Length && int64 start + int64 length = int64 frame.Length then
                    Int32.MaxValue
                else
                    earliestSecret kind start
