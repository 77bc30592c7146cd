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

    let private samples (settings: ProbeSettings) =
        let topic = settings.TopicPrefix

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
            "AUTH rc=ReAuthenticate props{AuthenticationMethod=\"m\"}"
        ]

    let private bytesOf settings notation =
        match Notation.parse notation with
        | Ok packet ->
            match Encode.toBytes Direction.ClientToServer (ProbeText.withCredentials settings packet) with
            | Ok bytes -> bytes
            | Error fault -> invalidOp $"{notation}: {fault}"
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

    let rec private isHarmlessStream settings (bytes: byte[]) =
        match
            Framer.next Direction.ClientToServer Spec.MaximumPacketBytes 0L (ReadOnlySequence<byte> bytes)
        with
        | Frame length ->
            match Grammar.parse Direction.ClientToServer length 0L (ReadOnlyMemory(bytes, 0, length)) with
            | Ok packet ->
                isHarmless settings packet
                && isHarmlessStream settings (Array.skip length bytes)
            // A server that is careless may read such a PUBLISH or CONNECT all the same.
            | Error _ -> bytes[0] &&& 0xF1uy <> 0x31uy
        | Incomplete
        | Broken _ -> true

    /// So many frames, always the same for a seed.
    [<CompiledName("Create")>]
    let create (settings: ProbeSettings) (seed: int) (count: int) : HostileFrame[] =
        let samples = samples settings |> List.map (bytesOf settings) |> Array.ofList
        let random = Random seed

        let changes =
            Gen.sampleWithSeed (Rnd(uint64 seed)) 50 (count * 20) (Gen.listOfLength 4 ByteMutations.mutation)
            |> Array.ofSeq

        let frame index =
            let changes = List.truncate (1 + index % 4) changes[index]
            let sample = samples[random.Next samples.Length]
            let frame = List.fold (fun bytes change -> ByteMutations.apply change bytes) sample changes
            let isFirst = random.Next 4 = 0

            if frame.Length > 0 && frame <> sample && isHarmlessStream settings frame then
                let connect = $"CONNECT clean=1 clientid=\"{settings.ClientIdPrefix}h{index}\""

                Some
                    {
                        Opening =
                            if isFirst then
                                Bytes.Empty
                            else
                                Bytes.OfArray(bytesOf settings connect)
                        Frame = Bytes.OfArray frame
                    }
            else
                None

        Seq.init changes.Length frame
        |> Seq.choose id
        |> Seq.truncate count
        |> Array.ofSeq
