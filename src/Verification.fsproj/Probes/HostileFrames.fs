namespace Mqtt5.Verification

open System
open System.Buffers
open FsCheck
open FsCheck.FSharp
open Mqtt5

/// Bytes that no client should send, and what goes before them.
[<NoComparison>]
type HostileFrame =
    {
        /// The bytes of a CONNECT that is accepted; empty: the hostile bytes come first.
        Opening: Bytes
        /// The hostile bytes.
        Frame: Bytes
    }

/// Hostile bytes that do no harm to what others keep on a server, should it take them for packets.
[<RequireQualifiedAccess>]
module HostileFrames =

    let private samples (version: ProtocolVersion) (settings: ProbeSettings) =
        let topic = settings.TopicPrefix

        let usual =
            [
                $"CONNECT clean=1 keepalive=30 clientid=\"{settings.ClientIdPrefix}h\""
                $"PUBLISH topic=\"{topic}hostile\" payload=\"hostile\""
                $"PUBLISH qos=1 topic=\"{topic}hostile\" id=1 props{{ContentType=\"t\", UserProperty=(\"k\",\"v\")}} payload=\"x\"*200"
                $"PUBLISH qos=2 topic=\"{topic}hostile\" id=2 props{{MessageExpiryInterval=1, ResponseTopic=\"{topic}r\"}}"
                "PUBACK id=7"
                "PUBREC id=7 rc=Success"
                "PUBREL id=7"
                "PUBCOMP id=7"
                $"SUBSCRIBE id=3 filters[\"{topic}hostile/+\", \"{topic}b\" qos=1]"
                $"UNSUBSCRIBE id=4 filters[\"{topic}hostile\"]"
                "PINGREQ"
                "DISCONNECT rc=Success props{}"
            ]

        if version.IsV5 then
            usual @ [ "AUTH rc=ReAuthenticate props{AuthenticationMethod=\"m\"}" ]
        else
            usual

    let private bytesOf version settings notation =
        match Notation.parse notation with
        | Ok packet ->
            match ProbeText.lowered version packet with
            | ValueSome packet ->
                let packet = ProbeText.withCredentials settings packet

                match Encode.toBytesIn version Direction.ClientToServer packet with
                | Ok bytes -> bytes
                | Error fault -> invalidOp $"{notation}: {fault}"
            | ValueNone -> invalidOp $"{notation} cannot be said"
        | Error fault -> invalidOp $"{notation}: {fault}"

    // A packet that stays on the server, or goes beyond the prefix, is not sent.
    let private isHarmless (settings: ProbeSettings) (packet: Packet) =
        let isOurs (topic: string) = topic.StartsWith settings.TopicPrefix

        match packet with
        | Packet.Connect connect ->
            connect.Will.IsNone
            && connect.CleanStart
            && ValueOption.defaultValue 0u<s> connect.Properties.SessionExpiryInterval = 0u<s>
            && connect.ClientId
               |> ValueOption.forall _.Text.StartsWith(settings.ClientIdPrefix)
        | Packet.Publish publish ->
            match publish.Topic with
            | TopicReference.Name name
            | TopicReference.NameAndAlias(name, _) -> isOurs name.Text && not publish.Retain
            | TopicReference.Alias _ -> not publish.Retain
        | Packet.Subscribe subscribe ->
            subscribe.Subscriptions |> Seq.forall (fun one -> isOurs one.Filter.Text)
        | _ -> true

    let rec private isHarmlessStream version settings (bytes: byte[]) =
        let input = ReadOnlySequence<byte> bytes

        match Framer.nextIn version Direction.ClientToServer Spec.MaximumPacketBytes 0L input with
        | Frame length ->
            let frame = ReadOnlyMemory(bytes, 0, length)

            match Grammar.parseIn version Direction.ClientToServer length 0L frame with
            | Ok packet ->
                isHarmless settings packet
                && isHarmlessStream version settings (Array.skip length bytes)
            // A server that is careless may read such a PUBLISH or CONNECT all the same.
            | Error _ -> bytes[0] &&& 0xF1uy <> 0x31uy
        | Incomplete
        | Broken _ -> true

    /// So many frames for a server of a version, always the same for a seed.
    [<CompiledName("Create")>]
    let create
        (version: ProtocolVersion)
        (settings: ProbeSettings)
        (seed: int)
        (count: int)
        : HostileFrame[] =
        let samples = samples version settings |> List.map (bytesOf version settings) |> Array.ofList

        let random = Random seed

        let changes =
            Gen.sampleWithSeed (Rnd(uint64 seed)) 50 (count * 20) (Gen.listOfLength 4 ByteMutations.mutation)
            |> Array.ofSeq

        let frame index =
            let changes = List.truncate (1 + index % 4) changes[index]
            let sample = samples[random.Next samples.Length]
            let frame = List.fold (fun bytes change -> ByteMutations.apply change bytes) sample changes
            let isFirst = random.Next 4 = 0

            if frame.Length > 0 && frame <> sample && isHarmlessStream version settings frame then
                let connect = $"CONNECT clean=1 clientid=\"{settings.ClientIdPrefix}h{index}\""

                Some
                    {
                        Opening =
                            if isFirst then
                                Bytes.Empty
                            else
                                Bytes.OfArray(bytesOf version settings connect)
                        Frame = Bytes.OfArray frame
                    }
            else
                None

        Seq.init changes.Length frame
        |> Seq.choose id
        |> Seq.truncate count
        |> Array.ofSeq
