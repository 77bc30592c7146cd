namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

/// An answer of the server that a recorded connection got.
[<Struct; NoComparison>]
type ReplayAnswer =
    {
        /// The packet type of the answer.
        Packet: PacketType
        /// Its Packet Identifier; 0: it has none.
        Id: uint16
        /// The how manieth of this type and identifier it is on the connection, from 1.
        Number: int
    }

/// What a recorded client did.
[<RequireQualifiedAccess; NoComparison>]
type ReplayAction =
    /// It opened the connection.
    | Connect
    /// It sent a packet.
    | Send of Packet: Packet
    /// It sent a PUBLISH for this topic, whatever its Topic Alias.
    | Publish of Publish: Publish * Topic: TopicName
    /// It sent bytes that are no packet.
    | SendBytes of Bytes: Bytes
    /// It sent this many bytes, which the recording does not hold.
    | Missing of WireBytes: int
    /// The connection ended.
    | Close

/// A step of a replay.
[<NoComparison>]
type ReplayStep =
    {
        /// When it was recorded.
        At: Instant
        /// The number of its connection.
        Connection: int
        /// What is done.
        Action: ReplayAction
        /// The answers that the recorded client had got since its step before.
        After: ReplayAnswer[]
        /// How many messages the recorded client had got on the connection until then.
        Messages: int
    }

/// What a recorded connection shows of the server.
[<NoComparison>]
type RecordedConnection =
    {
        /// The answers of the server by type, Packet Identifier and number; 0 stands for no identifier.
        Answers: Map<struct (PacketType * uint16 * int), Packet>
        /// Whether the server ended it before the client sent DISCONNECT.
        IsEndedByServer: bool
        /// The DISCONNECT of the server; absent: it sent none.
        Disconnect: Packet voption
        /// The messages that the client got, with their Topic Names.
        Messages: Publish list
    }

/// What is done to play the client side of a recording again.
[<NoComparison>]
type ReplayPlan =
    {
        /// The steps in their order.
        Steps: ReplayStep[]
        /// The connections by their numbers.
        Connections: Map<int, RecordedConnection>
    }

/// Answers of servers, recorded or live.
module internal ReplayAnswers =

    /// The type and the Packet Identifier of an answer, and whether it refuses something; absent: it is none.
    let ofPacket (packet: Packet) : struct (PacketType * uint16 * bool) voption =
        let isFailure (reason: ReasonCode) = byte reason >= 0x80uy

        let acknowledgement (one: Acknowledgement) =
            ValueSome(struct (packet.Type, one.PacketId.Value, isFailure one.Outcome.Reason))

        match packet with
        | Packet.Connack one -> ValueSome(struct (PacketType.Connack, 0us, isFailure one.Reason))
        | Packet.Suback one
        | Packet.Unsuback one ->
            ValueSome(struct (packet.Type, one.PacketId.Value, Seq.exists isFailure one.Reasons))
        | Packet.Puback one
        | Packet.Pubrec one
        | Packet.Pubcomp one -> acknowledgement one
        | Packet.Pingresp
        | Packet.Auth _ -> ValueSome(struct (packet.Type, 0us, false))
        | _ -> ValueNone

    /// Whether an answer refuses something.
    let isFailure (packet: Packet) : bool =
        match ofPacket packet with
        | ValueSome(struct (_, _, isFailure)) -> isFailure
        | ValueNone -> false

/// Makes plans of recordings.
[<RequireQualifiedAccess>]
module ReplayPlan =

    [<NoComparison>]
    type private Known =
        {
            Counts: Map<struct (PacketType * uint16), int>
            Fresh: ReplayAnswer list
            // The identifiers whose PUBREC has come and whose PUBREL has not gone out.
            Releasable: Set<uint16>
            Aliases: InboundTopicAliases
            ServerAliases: InboundTopicAliases
            // Its messages are in reverse.
            Recorded: RecordedConnection
            MessagesReceived: int
            HasLeft: bool
            IsOpen: bool
        }

    let private unknown =
        {
            Counts = Map.empty
            Fresh = []
            Releasable = Set.empty
            Aliases = InboundTopicAliases.Empty(ClientToServer, System.UInt16.MaxValue)
            ServerAliases = InboundTopicAliases.Empty(ServerToClient, System.UInt16.MaxValue)
            Recorded = { Answers = Map.empty; IsEndedByServer = false; Disconnect = ValueNone; Messages = [] }
            MessagesReceived = 0
            HasLeft = false
            IsOpen = false
        }

    // What the server sent.
    let private answered (packet: Packet) (known: Known) : Known =
        match packet with
        | Packet.Publish publish ->
            let struct (publish, aliases) = ReplayComparison.named publish known.ServerAliases

            { known with
                ServerAliases = aliases
                Recorded = { known.Recorded with Messages = publish :: known.Recorded.Messages }
                MessagesReceived = known.MessagesReceived + 1
            }
        | Packet.Disconnect _ ->
            { known with
                Recorded =
                    { known.Recorded with IsEndedByServer = not known.HasLeft; Disconnect = ValueSome packet }
            }
        | _ ->
            match ReplayAnswers.ofPacket packet with
            | ValueNone -> known
            | ValueSome(struct (kind, id, isFailure)) ->
                let number =
                    match known.Counts.TryGetValue(struct (kind, id)) with
                    | true, count -> count + 1
                    | _ -> 1

                { known with
                    Counts = known.Counts.Add(struct (kind, id), number)
                    Fresh = { Packet = kind; Id = id; Number = number } :: known.Fresh
                    Releasable =
                        if kind = PacketType.Pubrec && not isFailure then
                            known.Releasable.Add id
                        else
                            known.Releasable
                    Recorded =
                        { known.Recorded with
                            Answers = known.Recorded.Answers.Add(struct (kind, id, number), packet)
                        }
                }

    // What a packet of the client becomes. Acknowledgements are not sent from the recording, but as the live server's
    // packets ask for them; so a PUBREL that answers no PUBREC of its connection is the only one that is.
    let private actionOf (packet: Packet) (known: Known) : struct (ReplayAction voption * Known) =
        match packet with
        | Packet.Puback _
        | Packet.Pubrec _
        | Packet.Pubcomp _ -> struct (ValueNone, known)
        | Packet.Pubrel one when known.Releasable.Contains one.PacketId.Value ->
            struct (ValueNone, { known with Releasable = known.Releasable.Remove one.PacketId.Value })
        | Packet.Publish publish ->
            match known.Aliases.Resolve publish.Topic with
            | Ok(struct (topic, aliases)) ->
                struct (ValueSome(ReplayAction.Publish(publish, topic)), { known with Aliases = aliases })
            | Error _ -> struct (ValueSome(ReplayAction.Send packet), known)
        | _ -> struct (ValueSome(ReplayAction.Send packet), known)

    /// The plan for the events of a recording in their order.
    [<CompiledName("Of")>]
    let ofRecords (records: seq<TraceRecord>) : ReplayPlan =
        let steps = List<ReplayStep>()
        let connections = Dictionary<int, Known>()
        let mutable last = 0L<ms>

        let knownOf number =
            match connections.TryGetValue number with
            | true, known -> known
            | _ -> unknown

        let add at number action (known: Known) =
            steps.Add
                {
                    At = at
                    Connection = number
                    Action = action
                    After = known.Fresh |> List.rev |> Array.ofList
                    Messages = known.MessagesReceived
                }

            connections[number] <- { known with Fresh = []; IsOpen = not action.IsClose }

        for record in records do
            let number = record.Connection
            last <- max last record.At

            // A capture has no line for what opens a connection.
            if not (connections.ContainsKey number) then
                add record.At number ReplayAction.Connect unknown

            match record.Event with
            | TraceEvent.Opened -> ()
            | TraceEvent.Packet(ClientToServer, _, packet) ->
                match actionOf packet (knownOf number) with
                | struct (ValueSome action, known) ->
                    let leaves = packet.Type = PacketType.Disconnect
                    add record.At number action { known with HasLeft = known.HasLeft || leaves }
                | struct (ValueNone, known) -> connections[number] <- known
            | TraceEvent.Packet(ServerToClient, _, packet) ->
                connections[number] <- answered packet (knownOf number)
            | TraceEvent.Malformed(ClientToServer, wireBytes, _, bytes) ->
                let action =
                    if bytes.Length = wireBytes then
                        ReplayAction.SendBytes bytes
                    else
                        ReplayAction.Missing wireBytes

                add record.At number action (knownOf number)
            | TraceEvent.Malformed(ServerToClient, _, _, _) -> ()
            | TraceEvent.Closed direction ->
                let known = knownOf number
                let recorded = known.Recorded

                add
                    record.At
                    number
                    ReplayAction.Close
                    { known with
                        Recorded =
                            { recorded with
                                IsEndedByServer =
                                    recorded.IsEndedByServer
                                    || direction = ServerToClient && not known.HasLeft
                            }
                    }

        for KeyValue(number, known) in Seq.toArray connections do
            if known.IsOpen then
                add last number ReplayAction.Close known

        {
            Steps = steps.ToArray()
            Connections =
                connections
                |> Seq.map (fun (KeyValue(number, { Recorded = recorded })) ->
                    number, { recorded with Messages = List.rev recorded.Messages })
                |> Map.ofSeq
        }

    /// The plan with some of its connections only.
    [<CompiledName("Only")>]
    let only (numbers: seq<int>) (plan: ReplayPlan) : ReplayPlan =
        let wanted = Set.ofSeq numbers

        {
            Steps = plan.Steps |> Array.filter (fun step -> wanted.Contains step.Connection)
            Connections = plan.Connections |> Map.filter (fun number _ -> wanted.Contains number)
        }

    /// The connections whose password the recording hides.
    [<CompiledName("HiddenPasswords")>]
    let hiddenPasswords (plan: ReplayPlan) : int[] =
        plan.Steps
        |> Array.choose (fun step ->
            match step.Action with
            | ReplayAction.Send(Packet.Connect { Password = ValueSome password }) when
                password.Equals TraceRedaction.stars
                ->
                Some step.Connection
            | _ -> None)

    /// The connections whose Authentication Data the recording hides, so that they cannot be played again.
    [<CompiledName("HiddenAuthentications")>]
    let hiddenAuthentications (plan: ReplayPlan) : int[] =
        let isHidden (authentication: Authentication voption) =
            match authentication with
            | ValueSome { Data = ValueSome data } -> data.Equals TraceRedaction.stars
            | _ -> false

        plan.Steps
        |> Array.choose (fun step ->
            match step.Action with
            | ReplayAction.Send(Packet.Connect connect) when isHidden connect.Properties.Authentication ->
                Some step.Connection
            | ReplayAction.Send(Packet.Auth auth) when isHidden (ValueSome auth.Authentication) ->
                Some step.Connection
            | _ -> None)
        |> Array.distinct
