using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mqtt5.Cli;

/// <summary>What a server answered to CONNECT, in notation, in words, and in JSON.</summary>
internal sealed class ConnectReport(Target target, MqttClientOptions asked, string? clientId, MqttConnectResult answer, TimeSpan took)
{
    private const int NameColumn = 2;
    private const int ValueColumn = 28;

    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>For people.</summary>
    public void Write(Screen screen)
    {
        screen.Write(IsAccepted
            ? new Line().Add("connected", Look.Good).Add($" to {target.Name} in {Figures.Duration(took)}")
            : new Line().Add("refused", Look.Bad).Add($" by {target.Name} after {Figures.Duration(took)}"));
        screen.Write();
        screen.Write(new Line().Add(answer.ToString()), NameColumn);

        foreach (var (heading, rows) in Sections())
        {
            screen.Write();
            screen.Write(new Line().Add(heading, Look.Strong));

            foreach (var (name, value) in rows)
                screen.Write(new Line().At(NameColumn).Add(name).At(ValueColumn).Add(value), ValueColumn);
        }
    }

    /// <summary>For programs. Times are in seconds; null: the server says nothing, or there is no limit.</summary>
    public string ToJson()
    {
        var json = new JsonObject
        {
            ["server"] = target.Server.ToString(),
            ["protocolVersion"] = Spec.version(target.Version).Name,
            ["milliseconds"] = Math.Round(took.TotalMilliseconds, 3),
            ["connack"] = answer.ToString(),
            ["reason"] = (int)answer.Reason,
            ["reasonName"] = Notation.PrintReason(answer.Reason),
            ["reasonString"] = answer.ReasonString,
            ["sessionPresent"] = answer.SessionPresent,
            ["clientId"] = clientId,
            ["assignedClientId"] = answer.AssignedClientId,
            ["sessionExpiry"] = Seconds(answer.SessionExpiry),
            ["keepAlive"] = Seconds(answer.KeepAlive),
            ["receiveMaximum"] = answer.ReceiveMaximum,
            ["maximumQoS"] = (int)answer.MaximumQoS,
            ["maximumPacketSize"] = answer.MaximumPacketSize,
            ["topicAliasMaximum"] = answer.TopicAliasMaximum,
            ["retainAvailable"] = answer.RetainAvailable,
            ["wildcardSubscriptionAvailable"] = answer.WildcardSubscriptionAvailable,
            ["subscriptionIdentifierAvailable"] = answer.SubscriptionIdentifierAvailable,
            ["sharedSubscriptionAvailable"] = answer.SharedSubscriptionAvailable,
            ["responseInformation"] = answer.ResponseInformation,
            ["serverReference"] = answer.ServerReference,
            ["userProperties"] = new JsonArray([.. UserProperties().Select(property => new JsonArray(property.Name, property.Value))]),
        };
        return json.ToJsonString(Indented);
    }

    private bool IsAccepted => answer.Reason < ReasonCode.UnspecifiedError;

    private IEnumerable<(string Heading, IEnumerable<(string Name, string Value)> Rows)> Sections()
    {
        var reason = $"0x{(byte)answer.Reason:X2} {Spec.reasonTitle(PacketType.Connack, answer.Reason)}";

        if (!target.Version.IsV5)
        {
            yield return (Spec.version(target.Version).Name, OfOlderVersion(reason));
            yield break;
        }

        if (!IsAccepted)
        {
            yield return ("Answer", [
                ("Reason", reason),
                ("Reason String", answer.ReasonString ?? "none"),
                ("Server Reference", answer.ServerReference ?? "none"),
                .. UserProperties().Select(property => ("User Property", $"{property.Name} = {property.Value}")),
            ]);
            yield break;
        }

        yield return ("Session", [
            ("Client Identifier", $"{clientId}, {(answer.AssignedClientId is null ? "as asked for" : "from the server")}"),
            ("Session Present", answer.SessionPresent ? "yes: the server goes on with a session" : "no: the session is new"),
            ("Session Expiry Interval", Interval(answer.SessionExpiry, asked.SessionExpiry, "it ends with the connection")),
            ("Keep Alive", Interval(answer.KeepAlive, asked.KeepAlive, "none")),
        ]);
        yield return ("Limits of the server", [
            ("Receive Maximum", $"{Figures.Count(answer.ReceiveMaximum)} unacknowledged messages of QoS 1 and 2"),
            ("Maximum QoS", $"{(int)answer.MaximumQoS}"),
            ("Maximum Packet Size", answer.MaximumPacketSize is { } bytes ? $"{Figures.Count(bytes)} bytes" : "no limit but the protocol's, 268,435,460 bytes"),
            ("Topic Alias Maximum", answer.TopicAliasMaximum == 0 ? "0: it takes no Topic Aliases" : $"{Figures.Count(answer.TopicAliasMaximum)} aliases from this client"),
        ]);
        yield return ("Features of the server", [
            ("Retained messages", Available(answer.RetainAvailable)),
            ("Wildcard subscriptions", Available(answer.WildcardSubscriptionAvailable)),
            ("Subscription Identifiers", Available(answer.SubscriptionIdentifierAvailable)),
            ("Shared subscriptions", Available(answer.SharedSubscriptionAvailable)),
        ]);
        yield return ("What else it says", [
            ("Reason", reason),
            ("Reason String", answer.ReasonString ?? "none"),
            ("Response Information", answer.ResponseInformation ?? (asked.RequestResponseInformation == true ? "none" : "none; it was not asked for")),
            ("Server Reference", answer.ServerReference ?? "none"),
            .. UserProperties().Select(property => ("User Property", $"{property.Name} = {property.Value}")),
        ]);
    }

    // All that its CONNACK tells.
    private IEnumerable<(string Name, string Value)> OfOlderVersion(string reason)
    {
        yield return ("Reason", reason);

        if (!IsAccepted)
            yield break;

        yield return ("Client Identifier", clientId ?? "none; the server does not tell which it assigns");
        yield return ("Session Present", target.Version.IsV31 ? "not told" : answer.SessionPresent ? "yes: the server goes on with a session" : "no: the session is new");
        yield return ("Keep Alive", Interval(null, asked.KeepAlive, "none"));
        yield return ("Limits of the server", "not told");
    }

    private IEnumerable<(string Name, string Value)> UserProperties() =>
        answer.UserProperties.Select(property => (property.Name.Text, property.Value.Text));

    private static string Available(bool available) => available ? "available" : "not available";

    private static double? Seconds(TimeSpan? time) => time == Timeout.InfiniteTimeSpan ? -1 : time?.TotalSeconds;

    // The server's word counts where it says one.
    private static string Interval(TimeSpan? told, TimeSpan? asked, string zero)
    {
        var effective = told ?? asked ?? TimeSpan.Zero;
        var words = effective == Timeout.InfiniteTimeSpan ? "for ever" : effective == TimeSpan.Zero ? zero : Figures.Setting(effective);
        return told is null || told == asked ? $"{words}, as asked for" : $"{words}, as the server wants it";
    }
}
