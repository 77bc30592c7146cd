namespace Mqtt5.Verification

open System.Collections.Generic
open Mqtt5

// A broken rule within a step, before time and connection are added: who sent the packet, the clause, and the detail.
[<Struct; NoComparison>]
type internal Finding = { By: Direction; Clause: string; Detail: string }

// The exchanges of QoS 1 and 2 of one sender, judged from between the two ends. Each packet is seen after its sender
// sent it and before the other end has it; so what the sender had to know is known here too.
module internal ExchangeRules =

    let private byClient direction ofClient ofServer =
        if direction = ClientToServer then ofClient else ofServer

    let other direction = byClient direction ServerToClient ClientToServer

    let sender direction (receiveMaximum: uint16) (aliasMaximum: uint16) (packetBytes: uint32) : Sender =
        {
            Direction = direction
            Flights = Map.empty
            PubacksDue = Map.empty
            PubrecsDue = Map.empty
            PubrelsDue = Map.empty
            Open = 0
            ReceiveMaximum = int receiveMaximum
            Aliases = InboundTopicAliases.Empty(direction, aliasMaximum)
            MaximumPacketBytes = packetBytes
            HasDisconnected = false
            HasRepeated = false
        }

    let private due qos (order: int64) (id: uint16) (sender: Sender) =
        if qos = QoS.AtLeastOnce then
            { sender with PubacksDue = sender.PubacksDue.Add(order, id) }
        else
            { sender with PubrecsDue = sender.PubrecsDue.Add(order, id) }

    // A PUBLISH of QoS 1 or 2.
    let published
        (findings: List<Finding>)
        isResumed
        (order: int64)
        (id: uint16)
        qos
        isDup
        isRequestOpen
        (sender: Sender)
        : Sender =
        let by = sender.Direction

        let report clause detail = findings.Add { By = by; Clause = clause; Detail = detail }

        let inUse = byClient by "MQTT-2.2.1-3" "MQTT-2.2.1-4"

        match sender.Flights.TryGetValue id with
        | true, flight when flight.IsOfConnection ->
            if isDup then
                report
                    "MQTT-4.4.0-1"
                    $"the message with Packet Identifier {id} is sent again on the same connection"
            else
                // [MQTT-2.2.1-3] [MQTT-2.2.1-4]
                report inUse $"Packet Identifier {id} is in use for a message"
        | true, flight when flight.Stage = AwaitsPubcomp ->
            report "MQTT-4.3.3-6" $"the message with Packet Identifier {id} is sent again after its PUBREL"
        | true, _ when not isDup -> report "MQTT-3.3.1-1" "DUP is 0 though the message is sent again"
        | true, _ -> ()
        | false, _ ->
            if isRequestOpen then
                report inUse $"Packet Identifier {id} is in use for a SUBSCRIBE or UNSUBSCRIBE"

            if isDup && not isResumed then
                // [MQTT-4.3.2-2] [MQTT-4.3.3-2]
                report
                    (if qos = QoS.AtLeastOnce then "MQTT-4.3.2-2" else "MQTT-4.3.3-2")
                    "DUP is 1 though the message is sent for the first time"

        let isAgain =
            match sender.Flights.TryGetValue id with
            | true, flight -> flight.IsOfConnection
            | _ -> false

        if isAgain then
            { sender with HasRepeated = true }
        else
            let flight = { QoS = qos; Stage = AwaitsAnswer; Order = order; IsOfConnection = true }

            let sender =
                due
                    qos
                    order
                    id
                    { sender with Flights = sender.Flights.Add(id, flight); Open = sender.Open + 1 }

            if sender.Open > sender.ReceiveMaximum then
                // [MQTT-3.3.4-7] [MQTT-3.3.4-9] [MQTT-4.9.0-2]
                report
                    (byClient by "MQTT-3.3.4-7" "MQTT-3.3.4-9")
                    $"{sender.Open} messages of QoS 1 and 2 are under way, and the Receive Maximum is {sender.ReceiveMaximum}"

            sender

    let private removed (id: uint16) (sender: Sender) =
        { sender with Flights = sender.Flights.Remove id; Open = max 0 (sender.Open - 1) }

    // Something is answered that stands behind others: only clients are bound to an order by statements.
    let private outOfOrder (findings: List<Finding>) by clause name (order: int64) (due: Map<int64, uint16>) =
        if
            by = ClientToServer
            && due.ContainsKey order
            && (Map.minKeyValue due |> fst) < order
        then
            let first = Map.minKeyValue due |> snd

            findings.Add
                {
                    By = by
                    Clause = clause
                    Detail = $"the {name} for Packet Identifier {first} is due before this one"
                }

    // An answer to what was not seen. In a session that goes on it can belong to an earlier connection.
    let private unknown (findings: List<Finding>) by isResumed (sender: Sender) (id: uint16) detail =
        if not isResumed && not sender.HasRepeated then
            findings.Add { By = by; Clause = "MQTT-2.2.1-5"; Detail = $"Packet Identifier {id}: {detail}" }

    // A PUBACK to this sender.
    let acknowledged (findings: List<Finding>) isResumed (id: uint16) (sender: Sender) : Sender =
        let by = other sender.Direction

        match sender.Flights.TryGetValue id with
        | true, flight when flight.QoS = QoS.AtLeastOnce ->
            outOfOrder findings by "MQTT-4.6.0-2" "PUBACK" flight.Order sender.PubacksDue
            removed id { sender with PubacksDue = sender.PubacksDue.Remove flight.Order }
        | true, _ ->
            findings.Add
                {
                    By = by
                    Clause = "MQTT-3.3.4-1"
                    Detail = $"the message with Packet Identifier {id} has QoS 2, which PUBREC answers"
                }

            sender
        | _ ->
            unknown findings by isResumed sender id "no PUBLISH waits for a PUBACK"
            sender

    // A PUBREC to this sender.
    let received
        (findings: List<Finding>)
        isResumed
        (order: int64)
        (id: uint16)
        isFailure
        (sender: Sender)
        : Sender =
        let by = other sender.Direction

        match sender.Flights.TryGetValue id with
        | true, flight when flight.QoS = QoS.AtLeastOnce ->
            findings.Add
                {
                    By = by
                    Clause = "MQTT-3.3.4-1"
                    Detail = $"the message with Packet Identifier {id} has QoS 1, which PUBACK answers"
                }

            sender
        | true, flight when flight.Stage = AwaitsAnswer ->
            outOfOrder findings by "MQTT-4.6.0-3" "PUBREC" flight.Order sender.PubrecsDue
            let sender = { sender with PubrecsDue = sender.PubrecsDue.Remove flight.Order }

            if isFailure then
                removed id sender
            else
                let flight = { flight with Stage = AwaitsPubrel; Order = order }

                { sender with
                    Flights = sender.Flights.Add(id, flight)
                    PubrelsDue = sender.PubrelsDue.Add(order, id)
                }
        | true, _ ->
            unknown findings by isResumed sender id "its PUBREC was sent before"
            sender
        | _ ->
            unknown findings by isResumed sender id "no PUBLISH waits for a PUBREC"
            sender

    // A PUBREL of this sender.
    let released (findings: List<Finding>) isResumed isFailure (id: uint16) (sender: Sender) : Sender =
        let by = sender.Direction

        let report clause detail = findings.Add { By = by; Clause = clause; Detail = detail }

        match sender.Flights.TryGetValue id with
        | true, flight when flight.Stage = AwaitsPubrel ->
            outOfOrder findings by "MQTT-4.6.0-4" "PUBREL" flight.Order sender.PubrelsDue

            { sender with
                PubrelsDue = sender.PubrelsDue.Remove flight.Order
                Flights = sender.Flights.Add(id, { flight with Stage = AwaitsPubcomp; IsOfConnection = true })
            }
        | true, flight when flight.Stage = AwaitsPubcomp ->
            if flight.IsOfConnection then
                report
                    "MQTT-4.4.0-1"
                    $"the PUBREL for Packet Identifier {id} is sent again on the same connection"

            { sender with Flights = sender.Flights.Add(id, { flight with IsOfConnection = true }) }
        | true, flight when flight.QoS = QoS.ExactlyOnce ->
            // A PUBREC that did not come through on an earlier connection may have reached this end.
            if flight.IsOfConnection then
                report "MQTT-4.3.3-4" $"no PUBREC of success has been sent for Packet Identifier {id}"
                sender
            else
                { sender with
                    Flights =
                        sender.Flights.Add(id, { flight with Stage = AwaitsPubcomp; IsOfConnection = true })
                }
        | true, _ ->
            report "MQTT-4.3.3-4" $"the message with Packet Identifier {id} has QoS 1"
            sender
        | _ ->
            // With 0x92 it answers a PUBREC that nothing is known of.
            if not isFailure then
                unknown findings by isResumed sender id "no PUBREC of success has been sent"

            sender

    // A PUBCOMP to this sender.
    let completed (findings: List<Finding>) isResumed isFailure (id: uint16) (sender: Sender) : Sender =
        match sender.Flights.TryGetValue id with
        | true, flight when flight.Stage = AwaitsPubcomp -> removed id sender
        | _ ->
            // With 0x92 it answers a PUBREL that nothing is known of.
            if not isFailure then
                unknown findings (other sender.Direction) isResumed sender id "no PUBREL waits for a PUBCOMP"

            sender

    // The flights of a session that goes on, on a new connection: nothing of them is due until it is sent again.
    let resumed (earlier: Map<uint16, Flight>) (sender: Sender) : Sender =
        let add (flights: Map<uint16, Flight>) id flight =
            if flights.ContainsKey id then
                flights
            else
                flights.Add(id, { flight with IsOfConnection = false; Order = -1L })

        { sender with Flights = Map.fold add sender.Flights earlier }
