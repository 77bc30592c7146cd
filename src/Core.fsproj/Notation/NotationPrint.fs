namespace Mqtt5

open System
open System.Globalization
open System.Text
open System.Text.Unicode

// Writes notation. It makes one line of printable characters out of any packet.
[<RequireQualifiedAccess>]
module internal NotationPrint =

    // Shorter runs of one character read well as they are.
    [<Literal>]
    let private ShortestRepetition = 16

    let private character (output: StringBuilder) (rune: Rune) =
        match rune.Value with
        | 0x22 -> output.Append "\\\"" |> ignore
        | 0x5C -> output.Append "\\\\" |> ignore
        | 0x08 -> output.Append "\\b" |> ignore
        | 0x09 -> output.Append "\\t" |> ignore
        | 0x0A -> output.Append "\\n" |> ignore
        | 0x0C -> output.Append "\\f" |> ignore
        | 0x0D -> output.Append "\\r" |> ignore
        | value when value >= 0x20 && value <= 0x7E -> output.Append(char value) |> ignore
        | _ when PeerText.isPrintable rune -> output.Append(rune.ToString()) |> ignore
        | _ ->
            for unit in rune.ToString() do
                PeerText.escapeUnit output unit

    // How often the first character makes up the text, if it is all there is.
    let private repetition (text: string) =
        let width = if text.Length > 1 && Char.IsSurrogatePair(text, 0) then 2 else 1
        let rest = text.AsSpan width

        if
            text.Length >= width * ShortestRepetition
            && rest.SequenceEqual(text.AsSpan(0, text.Length - width))
        then
            text.Length / width
        else
            1

    let text (output: StringBuilder) (text: string) =
        let count = if text = "" then 1 else repetition text
        output.Append '"' |> ignore

        if count > 1 then
            character output (Rune.GetRuneAt(text, 0))
        else
            for rune in text.EnumerateRunes() do
                character output rune

        output.Append '"' |> ignore

        if count > 1 then
            output.Append('*').Append(count) |> ignore

    // Text as people write it: UTF-8 without control characters other than tab and line ends.
    let private isText (bytes: ReadOnlySpan<byte>) =
        Utf8.IsValid bytes
        && not (bytes.ContainsAnyInRange(0uy, 8uy))
        && not (bytes.ContainsAnyInRange(0x0Euy, 0x1Fuy))
        && bytes.IndexOfAny(0x0Buy, 0x0Cuy, 0x7Fuy) < 0

    let binary (output: StringBuilder) (bytes: Bytes) =
        let span = bytes.Span

        if not span.IsEmpty && isText span then
            text output (Encoding.UTF8.GetString span)
        else
            let repeated = span.Length >= ShortestRepetition && not (span.ContainsAnyExcept span[0])

            let unit = if repeated then span.Slice(0, 1) else span
            output.Append("x'").Append(Convert.ToHexString unit).Append('\'') |> ignore

            if repeated then
                output.Append('*').Append(span.Length) |> ignore

    let reason (output: StringBuilder) (code: ReasonCode) =
        match Spec.tryReason (byte code) with
        | ValueSome rule -> output.Append rule.Name |> ignore
        | ValueNone ->
            output.Append("0x").Append((byte code).ToString("X2", CultureInfo.InvariantCulture))
            |> ignore

    let private secret (output: StringBuilder) (redacted: bool) (secret: Secret) =
        if redacted then
            output.Append "***" |> ignore
        else
            binary output secret.Reveal

    let private number (output: StringBuilder) (name: string) (value: int) =
        output.Append(' ').Append(name).Append('=').Append(value) |> ignore

    let private flag (output: StringBuilder) (name: string) (value: bool) =
        if value then
            number output name 1

    let private key (output: StringBuilder) (name: string) =
        output.Append(' ').Append(name).Append('=') |> ignore

    let private property (output: StringBuilder) (redacted: bool) (name: string) (value: PropertyValue) =
        let named () =
            if output[output.Length - 1] <> '{' then
                output.Append ", " |> ignore

            output.Append(name).Append('=') |> ignore

        match value with
        | PropertyValue.Number value ->
            named ()
            output.Append value |> ignore
        | PropertyValue.Text value ->
            named ()
            text output value.Text
        | PropertyValue.Topic value ->
            named ()
            text output value.Text
        | PropertyValue.Binary value ->
            named ()
            binary output value
        | PropertyValue.Secret value ->
            named ()
            secret output redacted value
        | PropertyValue.SubscriptionIdentifiers list ->
            for identifier in list do
                named ()
                output.Append identifier |> ignore
        | PropertyValue.UserProperties list ->
            for property in list do
                named ()
                output.Append '(' |> ignore
                text output property.Name.Text
                output.Append ',' |> ignore
                text output property.Value.Text
                output.Append ')' |> ignore

    let private allProperties (output: StringBuilder) redacted (scope: Scope) (set: PropertySet) =
        output.Append " props{" |> ignore

        for id in Spec.propertiesOf scope do
            match Map.tryFind id set with
            | Some value -> property output redacted (Spec.property id).Name value
            | None -> ()

        output.Append '}' |> ignore

    let private properties output redacted scope (set: PropertySet) =
        if not (Map.isEmpty set) then
            allProperties output redacted scope set

    let private payload (output: StringBuilder) (bytes: Bytes) =
        if not bytes.IsEmpty then
            key output "payload"
            binary output bytes

    let private qos (output: StringBuilder) (qos: QoS) =
        if qos <> QoS.AtMostOnce then
            number output "qos" (int qos)

    let private will (output: StringBuilder) redacted (will: Will) =
        let inside = StringBuilder()
        qos inside will.QoS
        flag inside "retain" will.Retain
        properties inside redacted Scope.Will (PropertySet.ofWill will.Properties)
        key inside "topic"
        text inside will.Topic.Text
        payload inside will.Payload

        output.Append(" will[").Append(inside, 1, inside.Length - 1).Append(']')
        |> ignore

    // Before MQTT 5 the level is written, and the Session Expiry Interval is what it and clean say.
    let private connectOf (version: ProtocolVersion) (output: StringBuilder) redacted (connect: Connect) =
        if not version.IsV5 then
            number output "ver" (int (Spec.version version).Level)

        flag output "clean" connect.CleanStart

        if connect.KeepAlive <> 0us<s> then
            number output "keepalive" (int connect.KeepAlive)

        if version.IsV5 then
            properties output redacted Scope.Connect (PropertySet.ofConnect connect.Properties)

        match connect.ClientId with
        | ValueSome id ->
            key output "clientid"
            text output id.Text
        | ValueNone -> ()

        match connect.Will with
        | ValueSome message -> will output redacted message
        | ValueNone -> ()

        match connect.UserName with
        | ValueSome name ->
            key output "username"
            text output name.Text
        | ValueNone -> ()

        match connect.Password with
        | ValueSome password ->
            key output "password"
            secret output redacted password
        | ValueNone -> ()

    let private connack (output: StringBuilder) redacted (connack: Connack) =
        flag output "sp" connack.SessionPresent
        key output "rc"
        reason output connack.Reason
        properties output redacted Scope.Connack (PropertySet.ofConnack connack.Properties)

    let private publish (output: StringBuilder) redacted (publish: Publish) =
        flag output "dup" publish.Delivery.IsDup
        qos output publish.Delivery.QoS
        flag output "retain" publish.Retain

        match publish.Topic with
        | TopicReference.Name name
        | TopicReference.NameAndAlias(name, _) ->
            key output "topic"
            text output name.Text
        | TopicReference.Alias _ -> ()

        match publish.Delivery.PacketId with
        | ValueSome id -> number output "id" (int id.Value)
        | ValueNone -> ()

        properties output redacted Scope.Publish (PropertySet.ofPublish publish.Topic publish.Properties)
        payload output publish.Payload

    // A property section without a property differs on the wire from none, so it is written.
    let private outcome
        (output: StringBuilder)
        redacted
        scope
        (ofProperties: 'Properties -> PropertySet)
        outcome
        =
        match outcome with
        | Outcome.Omitted -> ()
        | Outcome.Code code ->
            key output "rc"
            reason output code
        | Outcome.Full(code, properties) ->
            key output "rc"
            reason output code
            allProperties output redacted scope (ofProperties properties)

    let private list (output: StringBuilder) (name: string) (write: 'Item -> unit) (items: WireList<'Item>) =
        output.Append(' ').Append(name).Append('[') |> ignore
        let mutable first = true

        for item in items do
            if not first then
                output.Append ", " |> ignore

            first <- false
            write item

        output.Append ']' |> ignore

    let subscription (output: StringBuilder) (subscription: Subscription) =
        text output subscription.Filter.Text
        qos output subscription.Options.MaximumQoS
        flag output "nl" subscription.Options.NoLocal
        flag output "rap" subscription.Options.RetainAsPublished

        if subscription.Options.RetainHandling <> RetainHandling.SendAtSubscribe then
            number output "rh" (int subscription.Options.RetainHandling)

    let private fields version (output: StringBuilder) redacted (packet: Packet) =
        let scope = Spec.scopeOf packet.Type
        let id (id: PacketId) = number output "id" (int id.Value)

        match packet with
        | Packet.Connect packet -> connectOf version output redacted packet
        | Packet.Connack packet -> connack output redacted packet
        | Packet.Publish packet -> publish output redacted packet
        | Packet.Puback packet
        | Packet.Pubrec packet
        | Packet.Pubrel packet
        | Packet.Pubcomp packet ->
            id packet.PacketId
            outcome output redacted scope PropertySet.ofAcknowledgement packet.Outcome
        | Packet.Subscribe packet ->
            id packet.PacketId
            properties output redacted scope (PropertySet.ofSubscribe packet.Properties)
            list output "filters" (subscription output) packet.Subscriptions
        | Packet.Unsubscribe packet ->
            id packet.PacketId
            properties output redacted scope (PropertySet.ofUnsubscribe packet.UserProperties)
            list output "filters" (fun (filter: TopicFilter) -> text output filter.Text) packet.Filters
        | Packet.Suback packet
        | Packet.Unsuback packet ->
            id packet.PacketId
            properties output redacted scope (PropertySet.ofAcknowledgement packet.Properties)
            list output "codes" (reason output) packet.Reasons
        | Packet.Pingreq
        | Packet.Pingresp -> ()
        | Packet.Disconnect end' -> outcome output redacted scope PropertySet.ofDisconnect end'
        | Packet.Auth packet ->
            key output "rc"
            reason output packet.Reason
            properties output redacted scope (PropertySet.ofAuth packet)

    let packetIn (version: ProtocolVersion) (output: StringBuilder) (redacted: bool) (packet: Packet) =
        output.Append((Spec.packet packet.Type).Name) |> ignore
        fields version output redacted packet

    let packet (output: StringBuilder) (redacted: bool) (packet: Packet) =
        packetIn ProtocolVersion.V5 output redacted packet

    let direction (output: StringBuilder) (direction: Direction) =
        match direction with
        | ClientToServer -> output.Append "[c>s] " |> ignore
        | ServerToClient -> output.Append "[s>c] " |> ignore
