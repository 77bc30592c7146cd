namespace Mqtt5

/// Who broke a rule.
[<Struct>]
type Blame =
    /// The other end sent something that is not allowed.
    | Peer
    /// The application asked for something that is not allowed.
    | Caller
    /// This implementation failed or reached a limit of its own.
    | Ours

/// A broken rule: what, where, by whom, and the statement of the standard that says so. It never holds the
/// content of a field, so it can be logged.
[<NoComparison; ReferenceEquality>]
type Fault =
    {
        /// The reason code that the standard names for it.
        Reason: ReasonCode
        /// Who broke the rule.
        Blame: Blame
        /// The packet it was found in; <c>Reserved</c> where there is none.
        Packet: PacketType
        /// The offset of the offending byte from the start of the stream, in bytes; -1 when it was not found in bytes.
        Offset: int64
        /// The field as the standard names it, such as <c>Topic Name</c>.
        Field: string
        /// The statement, as <c>MQTT-3.3.2-2</c>, or the section where no numbered statement exists.
        Clause: string
        /// What is wrong, as a sentence without a full stop.
        Detail: string
        /// The limit of the broker that was exceeded; absent where none was.
        Limit: LimitName voption
    }

    /// The fault in one line.
    override this.ToString() =
        let where = if this.Offset < 0L then "" else $" at byte {this.Offset}"

        let packet =
            if this.Packet = PacketType.Reserved then
                ""
            else
                (Spec.packet this.Packet).Name + " "

        $"0x%02X{byte this.Reason} {Spec.reasonTitle this.Packet this.Reason}: {packet}{this.Field}{where}: {this.Detail} [{this.Clause}]"

/// Where a connection stands, as far as the answer to a fault depends on it.
[<Struct>]
type Phase =
    /// No CONNECT has been sent or accepted as a packet.
    | BeforeConnect
    /// CONNECT is on its way or being judged; no CONNACK of success yet.
    | Connecting
    /// A CONNACK of success was sent or received.
    | Connected

/// How a fault shows on the wire, before the connection is closed.
[<Struct>]
type WireReply =
    /// Nothing is sent.
    | CloseOnly
    /// A CONNACK with this reason code.
    | SendConnack of Reason: ReasonCode
    /// A DISCONNECT with this reason code.
    | SendDisconnect of Reason: ReasonCode

/// Makes faults and maps them to the wire.
[<RequireQualifiedAccess>]
module Fault =

    /// A rule broken by the peer, found in bytes.
    let peer reason packet offset field clause detail : Fault =
        {
            Reason = reason
            Blame = Peer
            Packet = packet
            Offset = offset
            Field = field
            Clause = clause
            Detail = detail
            Limit = ValueNone
        }

    /// A Malformed Packet (section 4.13): it cannot be parsed, or uses reserved bits.
    let malformed packet offset field clause detail : Fault =
        peer ReasonCode.MalformedPacket packet offset field clause detail

    /// A Protocol Error (section 4.13): it can be parsed, but is not allowed.
    let protocolError packet offset field clause detail : Fault =
        peer ReasonCode.ProtocolError packet offset field clause detail

    /// A rule that the application's own request would break.
    let caller reason packet field clause detail : Fault =
        {
            Reason = reason
            Blame = Caller
            Packet = packet
            Offset = -1L
            Field = field
            Clause = clause
            Detail = detail
            Limit = ValueNone
        }

    /// A failure or a limit of this implementation.
    let ours reason packet field detail : Fault =
        {
            Reason = reason
            Blame = Ours
            Packet = packet
            Offset = -1L
            Field = field
            Clause = "4.13"
            Detail = detail
            Limit = ValueNone
        }

    /// The fault as one that exceeds a limit of the broker. It is named where the limit is applied, so that metric,
    /// log and hook need not guess it later.
    let exceeding (limit: LimitName) (fault: Fault) : Fault = { fault with Limit = ValueSome limit }

    /// The same fault, naming the statement of a version instead of that of MQTT 5 (<c>Spec.clauseIn</c>).
    let inVersion (version: ProtocolVersion) (fault: Fault) : Fault =
        match version with
        | ProtocolVersion.V5 -> fault
        | _ -> { fault with Clause = Spec.clauseIn version fault.Clause }

    // A code outside of the packet's table would itself be a Protocol Error.
    let private orElse direction packetType (fault: Fault) =
        if Spec.reasonAllowed direction packetType fault.Reason then
            fault.Reason
        else
            match fault.Blame with
            | Peer -> ReasonCode.ProtocolError
            | Caller
            | Ours -> ReasonCode.ImplementationSpecificError

    /// What to send before closing the connection for a fault: the only place where that is decided. A server
    /// sends no DISCONNECT before its CONNACK [MQTT-3.14.0-1], and no CONNACK to what did not come as
    /// CONNECT [MQTT-3.1.0-1]; otherwise both ends name the reason (section 4.13).
    let onWire (role: Role) (phase: Phase) (fault: Fault) : WireReply =
        match role, phase with
        | Client, BeforeConnect -> CloseOnly
        | Client, (Connecting | Connected) ->
            SendDisconnect(orElse ClientToServer PacketType.Disconnect fault)
        | Server, BeforeConnect when fault.Packet <> PacketType.Connect -> CloseOnly
        | Server, (BeforeConnect | Connecting) -> SendConnack(orElse ServerToClient PacketType.Connack fault)
        | Server, Connected -> SendDisconnect(orElse ServerToClient PacketType.Disconnect fault)

    /// As <c>onWire</c> in a version of the protocol. Before MQTT 5 neither end sends a reason when it closes the
    /// connection [MQTT3-4.8.0-1] [MQTT3-2.2.2-2]; only a server that refuses a CONNECT may, with one of five return
    /// codes. A malformed CONNECT [MQTT3-3.1.4-1] and a refusal that no code fits [MQTT3-3.2.2-6] get no CONNACK. An
    /// unsupported version gets 0x01 [MQTT3-3.1.2-2], a rejected Client Identifier 0x02 [MQTT3-3.1.3-8]
    /// [MQTT3-3.1.3-9].
    let onWireIn (version: ProtocolVersion) (role: Role) (phase: Phase) (fault: Fault) : WireReply =
        match version, role, phase with
        | ProtocolVersion.V5, _, _ -> onWire role phase fault
        | _, Server, BeforeConnect when fault.Packet <> PacketType.Connect -> CloseOnly
        | _, Server, (BeforeConnect | Connecting) ->
            match Spec.returnCodeOf fault.Reason with
            | ValueSome rule when rule.Reason <> ReasonCode.Success -> SendConnack rule.Reason
            | _ -> CloseOnly
        | _ -> CloseOnly
