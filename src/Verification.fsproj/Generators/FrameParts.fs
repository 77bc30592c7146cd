namespace Mqtt5.Verification

open System
open Mqtt5

// A frame taken apart as far as rules are broken in it: the first byte, and the body without the Remaining Length.
// It knows the layout of packets on its own, so that it can make frames that the encoder never would.
[<NoComparison>]
type internal FrameParts = { First: byte; Body: byte[] }

module internal FrameParts =

    let variableByteInteger (value: int) : byte[] =
        let rec groups (rest: int) =
            if rest < 128 then
                [ byte rest ]
            else
                byte (rest &&& 127 ||| 128) :: groups (rest >>> 7)

        Array.ofList (groups value)

    // The value at an offset, and the offset after it.
    let readVariableByteInteger (bytes: byte[]) (offset: int) : struct (int * int) =
        let mutable value = 0
        let mutable index = offset
        let mutable shift = 0

        while bytes[index] >= 128uy do
            value <- value ||| (int (bytes[index] &&& 127uy) <<< shift)
            shift <- shift + 7
            index <- index + 1

        struct (value ||| (int bytes[index] <<< shift), index + 1)

    let twoByteInteger (bytes: byte[]) (offset: int) : int =
        (int bytes[offset] <<< 8) ||| int bytes[offset + 1]

    let ofFrame (frame: byte[]) : FrameParts =
        let struct (_, body) = readVariableByteInteger frame 1
        { First = frame[0]; Body = frame[body..] }

    let toFrame (parts: FrameParts) : byte[] =
        Array.concat [ [| parts.First |]; variableByteInteger parts.Body.Length; parts.Body ]

    let packetType (parts: FrameParts) : PacketType = LanguagePrimitives.EnumOfValue(parts.First >>> 4)

    let qos (parts: FrameParts) : int = int (parts.First >>> 1) &&& 3

    // Where the Topic Name of a PUBLISH lies.
    let topic (parts: FrameParts) : struct (int * int) = struct (2, twoByteInteger parts.Body 0)

    // Where the Packet Identifier is; -1: there is none.
    let packetIdAt (parts: FrameParts) : int =
        match packetType parts with
        | PacketType.Publish when qos parts > 0 -> 2 + twoByteInteger parts.Body 0
        | PacketType.Puback
        | PacketType.Pubrec
        | PacketType.Pubrel
        | PacketType.Pubcomp
        | PacketType.Subscribe
        | PacketType.Suback
        | PacketType.Unsubscribe
        | PacketType.Unsuback -> 0
        | _ -> -1

    // Where the Reason Code is; -1: there is none.
    let reasonAt (parts: FrameParts) : int =
        match packetType parts with
        | PacketType.Connack -> 1
        | PacketType.Puback
        | PacketType.Pubrec
        | PacketType.Pubrel
        | PacketType.Pubcomp when parts.Body.Length > 2 -> 2
        | PacketType.Disconnect
        | PacketType.Auth when parts.Body.Length > 0 -> 0
        | PacketType.Suback
        | PacketType.Unsuback -> parts.Body.Length - 1
        | _ -> -1

    // Where the Property Length is; -1: there is none.
    let propertyLengthAt (parts: FrameParts) : int =
        let at =
            match packetType parts with
            | PacketType.Connect -> 10
            | PacketType.Connack
            | PacketType.Subscribe
            | PacketType.Suback
            | PacketType.Unsubscribe
            | PacketType.Unsuback -> 2
            | PacketType.Publish -> 2 + twoByteInteger parts.Body 0 + (if qos parts > 0 then 2 else 0)
            | PacketType.Puback
            | PacketType.Pubrec
            | PacketType.Pubrel
            | PacketType.Pubcomp -> 3
            | PacketType.Disconnect
            | PacketType.Auth -> 1
            | _ -> Int32.MaxValue

        if at < parts.Body.Length then at else -1

    // The properties, with what stands before their Property Length and after them.
    let properties (parts: FrameParts) : struct (byte[] * byte[] * byte[]) voption =
        match propertyLengthAt parts with
        | -1 -> ValueNone
        | at ->
            let struct (length, first) = readVariableByteInteger parts.Body at
            let body = parts.Body
            ValueSome(struct (body[.. at - 1], body[first .. first + length - 1], body[first + length ..]))

    // The packet with another property section.
    let withProperties (change: byte[] -> byte[]) (parts: FrameParts) : FrameParts voption =
        match properties parts with
        | ValueNone -> ValueNone
        | ValueSome(struct (before, section, after)) ->
            let section = change section

            ValueSome
                { parts with
                    Body = Array.concat [ before; variableByteInteger section.Length; section; after ]
                }

    // Where the payload of a CONNECT or SUBSCRIBE or UNSUBSCRIBE begins: after the properties.
    let payloadAt (parts: FrameParts) : int =
        match properties parts with
        | ValueNone -> parts.Body.Length
        | ValueSome(struct (_, _, after)) -> parts.Body.Length - after.Length

    let change (offset: int) (value: byte) (parts: FrameParts) : FrameParts =
        { parts with Body = Array.updateAt offset value parts.Body }

// Changes to a frame that break a rule; absent where the frame has no such part.
module internal FrameChanges =

    let first (change: byte -> byte) (parts: FrameParts) = ValueSome { parts with First = change parts.First }

    let at (offset: int) (change: byte -> byte) (parts: FrameParts) =
        if offset >= 0 && offset < parts.Body.Length then
            ValueSome(FrameParts.change offset (change parts.Body[offset]) parts)
        else
            ValueNone

    let only (condition: FrameParts -> bool) change (parts: FrameParts) =
        if condition parts then change parts else ValueNone
