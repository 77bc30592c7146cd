namespace Mqtt5

open System
open System.Buffers.Binary
open System.Text

[<RequireQualifiedAccess>]
module internal WireTopic =

    /// The Topic Name of a PUBLISH on the wire; empty: a Topic Alias stands for it.
    let ofReference (reference: TopicReference) : ReadOnlySpan<byte> =
        match reference with
        | TopicReference.Name name
        | TopicReference.NameAndAlias(name, _) -> name.Utf8.Span
        | TopicReference.Alias _ -> ReadOnlySpan.Empty

// The sizes of fields and properties on the wire, in bytes (section 1.5). They are 64-bit numbers, so that a
// record that holds more than a packet can carry is noticed instead of overflowing. An absent property takes
// no bytes; a present one its identifier and its value.
module internal FieldSize =

    let variableByteInteger (value: int64) : int64 =
        if value < 0x80L then 1L
        elif value < 0x4000L then 2L
        elif value < 0x20_0000L then 3L
        else 4L

    let text (value: Utf8String) = 2L + int64 value.ByteCount

    let binary (value: Bytes) = 2L + int64 value.Length

    let clientId (value: ClientId voption) =
        match value with
        | ValueSome id -> text id.Utf8String
        | ValueNone -> 2L

    /// User Name and Password of a CONNECT.
    let credentials (connect: Connect) =
        (match connect.UserName with
         | ValueSome name -> text name
         | ValueNone -> 0L)
        + (match connect.Password with
           | ValueSome password -> binary password.Reveal
           | ValueNone -> 0L)

    let switchProperty (value: bool voption) = if value.IsSome then 2L else 0L

    let twoByteProperty (value: uint16<'unit> voption) = if value.IsSome then 3L else 0L

    let fourByteProperty (value: uint32<'unit> voption) = if value.IsSome then 5L else 0L

    let textProperty (value: Utf8String voption) =
        match value with
        | ValueSome text -> 3L + int64 text.ByteCount
        | ValueNone -> 0L

    let topicProperty (value: TopicName voption) =
        match value with
        | ValueSome topic -> 3L + int64 topic.Utf8.Length
        | ValueNone -> 0L

    let binaryProperty (value: Bytes voption) =
        match value with
        | ValueSome bytes -> 3L + int64 bytes.Length
        | ValueNone -> 0L

    let authentication (value: Authentication voption) =
        match value with
        | ValueNone -> 0L
        | ValueSome authentication ->
            let data =
                match authentication.Data with
                | ValueSome data -> 3L + int64 data.Length
                | ValueNone -> 0L

            3L + int64 authentication.Method.ByteCount + data

// The writers of fields and properties: each writes at an offset of the destination and returns the offset
// after what it wrote.
module internal FieldWriter =

    let byte (value: byte) (destination: Span<byte>) (at: int) : int =
        destination[at] <- value
        at + 1

    let twoByteInteger (value: uint16) (destination: Span<byte>) (at: int) : int =
        BinaryPrimitives.WriteUInt16BigEndian(destination.Slice at, value)
        at + 2

    /// In the fewest bytes that hold the value [MQTT-1.5.5-1].
    let variableByteInteger (value: int) (destination: Span<byte>) (at: int) : int =
        if value < 0x80 then
            destination[at] <- Operators.byte value
            at + 1
        else
            let mutable rest = uint32 value
            let mutable next = at

            while rest >= 0x80u do
                destination[next] <- Operators.byte (rest ||| 0x80u)
                rest <- rest >>> 7
                next <- next + 1

            destination[next] <- Operators.byte rest
            next + 1

    let raw (value: ReadOnlySpan<byte>) (destination: Span<byte>) (at: int) : int =
        value.CopyTo(destination.Slice at)
        at + value.Length

    let prefixed (value: ReadOnlySpan<byte>) (destination: Span<byte>) (at: int) : int =
        BinaryPrimitives.WriteUInt16BigEndian(destination.Slice at, uint16 value.Length)
        value.CopyTo(destination.Slice(at + 2))
        at + 2 + value.Length

    let text (value: Utf8String) (destination: Span<byte>) (at: int) : int =
        let length = Encoding.UTF8.GetBytes(value.Text.AsSpan(), destination.Slice(at + 2))
        BinaryPrimitives.WriteUInt16BigEndian(destination.Slice at, uint16 length)
        at + 2 + length

    let clientId (value: ClientId voption) (destination: Span<byte>) (at: int) : int =
        match value with
        | ValueSome id -> text id.Utf8String destination at
        | ValueNone -> twoByteInteger 0us destination at // [MQTT-3.1.3-3] [MQTT3-3.1.3-3]

    /// User Name and Password, the last payload fields of a CONNECT [MQTT-3.1.3-1] [MQTT3-3.1.3-1].
    let credentials (connect: Connect) (destination: Span<byte>) (at: int) : int =
        let at =
            match connect.UserName with
            | ValueSome name -> text name destination at
            | ValueNone -> at

        match connect.Password with
        | ValueSome password -> prefixed password.Reveal.Span destination at
        | ValueNone -> at

    /// Fixed header, Topic Name and Packet Identifier of a PUBLISH, from the start of the destination. At QoS 0 there is no
    /// Packet Identifier [MQTT-2.2.1-2] [MQTT3-2.3.1-5]. Inlined, since each PUBLISH that is sent passes here.
    let inline publishHeader
        (first: byte)
        (remaining: int)
        (topic: ReadOnlySpan<byte>)
        (packetId: uint16)
        (destination: Span<byte>)
        : int =
        destination[0] <- first
        let at = variableByteInteger remaining destination 1
        let at = prefixed topic destination at

        if first &&& 6uy = 0uy then
            at
        else
            twoByteInteger packetId destination at

    let byteProperty (id: PropertyId) (value: byte) (destination: Span<byte>) (at: int) : int =
        destination[at] <- Operators.byte id
        destination[at + 1] <- value
        at + 2

    let switchProperty (id: PropertyId) (value: bool voption) (destination: Span<byte>) (at: int) : int =
        match value with
        | ValueNone -> at
        | ValueSome on -> byteProperty id (if on then 1uy else 0uy) destination at

    let twoByteProperty
        (id: PropertyId)
        (value: uint16<'unit> voption)
        (destination: Span<byte>)
        (at: int)
        : int =
        match value with
        | ValueNone -> at
        | ValueSome value ->
            destination[at] <- Operators.byte id
            twoByteInteger (uint16 value) destination (at + 1)

    let fourByteProperty
        (id: PropertyId)
        (value: uint32<'unit> voption)
        (destination: Span<byte>)
        (at: int)
        : int =
        match value with
        | ValueNone -> at
        | ValueSome value ->
            destination[at] <- Operators.byte id
            BinaryPrimitives.WriteUInt32BigEndian(destination.Slice(at + 1), uint32 value)
            at + 5

    let textProperty (id: PropertyId) (value: Utf8String voption) (destination: Span<byte>) (at: int) : int =
        match value with
        | ValueNone -> at
        | ValueSome value ->
            destination[at] <- Operators.byte id
            text value destination (at + 1)

    let topicProperty (id: PropertyId) (value: TopicName voption) (destination: Span<byte>) (at: int) : int =
        match value with
        | ValueNone -> at
        | ValueSome topic ->
            destination[at] <- Operators.byte id
            prefixed topic.Utf8.Span destination (at + 1)

    let binaryProperty (id: PropertyId) (value: Bytes voption) (destination: Span<byte>) (at: int) : int =
        match value with
        | ValueNone -> at
        | ValueSome bytes ->
            destination[at] <- Operators.byte id
            prefixed bytes.Span destination (at + 1)

    let authentication (value: Authentication voption) (destination: Span<byte>) (at: int) : int =
        match value with
        | ValueNone -> at
        | ValueSome authentication ->
            destination[at] <- Operators.byte PropertyId.AuthenticationMethod
            let at = text authentication.Method destination (at + 1)

            match authentication.Data with
            | ValueNone -> at
            | ValueSome data ->
                destination[at] <- Operators.byte PropertyId.AuthenticationData
                prefixed data.Reveal.Span destination (at + 1)

// The bytes of flags that all versions have in common.
[<RequireQualifiedAccess>]
module internal FirstBytes =

    // The first byte of a packet that has fixed flags [MQTT-2.1.3-1] [MQTT3-2.2.2-1].
    let ofType (packetType: PacketType) : byte =
        match packetType with
        | PacketType.Pubrel
        | PacketType.Subscribe
        | PacketType.Unsubscribe -> (Operators.byte packetType <<< 4) ||| 2uy
        | _ -> Operators.byte packetType <<< 4

    let ofPublish (qos: QoS) (retain: bool) (dup: bool) : byte =
        0x30uy
        ||| (Operators.byte qos <<< 1)
        ||| (if retain then 1uy else 0uy)
        ||| (if dup then 8uy else 0uy)

    // CleanSession before MQTT 5 is the bit of Clean Start [MQTT3-3.1.2-6].
    let connectFlags (connect: Connect) : byte =
        let will =
            match connect.Will with
            | ValueNone -> 0uy // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT3-3.1.2-13] [MQTT3-3.1.2-15]
            | ValueSome will ->
                0x04uy
                ||| (Operators.byte will.QoS <<< 3)
                ||| (if will.Retain then 0x20uy else 0uy)

        will
        ||| (if connect.CleanStart then 0x02uy else 0uy)
        ||| (if connect.Password.IsSome then 0x40uy else 0uy)
        ||| (if connect.UserName.IsSome then 0x80uy else 0uy)
