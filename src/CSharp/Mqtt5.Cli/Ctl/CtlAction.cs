namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 ctl</c> can do.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Argument">What the first argument is; null: there is none.</param>
/// <param name="IsRequired">Whether the argument is required.</param>
/// <param name="Path">The path of the API below its address, with the query.</param>
/// <param name="Columns">The members of an entry that the table shows; null: the answer is one object.</param>
internal sealed record CtlAction(string Name, string? Argument, bool IsRequired, Func<CtlRequest, string> Path, string[]? Columns = null)
{
    /// <summary>The method of HTTP.</summary>
    public HttpMethod Method { get; init; } = HttpMethod.Get;

    /// <summary>Whether a message is sent with it.</summary>
    public bool HasBody { get; init; }

    /// <summary>Whether the answer comes in pages.</summary>
    public bool HasPages { get; init; }

    /// <summary>Whether a second argument, the topic, is required.</summary>
    public bool NeedsTopic { get; init; }

    /// <summary>All of them.</summary>
    public static IReadOnlyList<CtlAction> All { get; } =
    [
        new("overview", null, false, _ => "overview"),
        new("listeners", null, false, _ => "listeners", ["address", "transport", "isEncrypted", "needsCertificate", "versions"]),
        new("clients", null, false, ClientsOf, ["clientId", "isConnected", "version", "endPoint", "userName"]) { HasPages = true },
        new("client", "CLIENT", true, request => $"clients/-?client={Escape(request.Name)}"),
        new("disconnect", "CLIENT", true, request => $"clients/-?client={Escape(request.Name)}") { Method = HttpMethod.Delete },
        new("sessions", null, false, ClientsOf, ["clientId", "isConnected", "subscriptions", "inFlight", "queued", "queuedBytes", "endsAt"]) { HasPages = true },
        new("end", "CLIENT", true, request => $"sessions/-?client={Escape(request.Name)}") { Method = HttpMethod.Delete },
        new("subscriptions", "FILTER", false, request => $"subscriptions?limit={{0}}{Query("filter", request.Name)}", ["clientId", "filter", "qos", "noLocal", "identifier"]) { HasPages = true },
        new("groups", null, false, _ => "groups?limit={0}", ["filter", "memberCount", "members"]) { HasPages = true },
        new("retained", "FILTER", false, request => $"retained?limit={{0}}{Query("filter", request.Name)}", ["topic", "qos", "payloadBytes", "publisherId", "expiresAt"]) { HasPages = true },
        new("publish", "TOPIC", true, _ => "publish") { Method = HttpMethod.Post, HasBody = true },
        new("explain", "CLIENT", true, request => $"explain?client={Escape(request.Name)}&topic={Escape(request.Topic)}&qos={request.QoS}") { NeedsTopic = true },
        new("dropped", null, false, _ => "dropped"),
        new("limits", null, false, _ => "limits"),
        new("reload", null, false, _ => "reload") { Method = HttpMethod.Post },
        new("health", null, false, _ => "health/ready"),
    ];

    private static string ClientsOf(CtlRequest request) =>
        $"clients?limit={{0}}{Query("state", request.State)}{Query("contains", request.Contains)}";

    private static string Query(string name, string? value) => value is null ? "" : $"&{name}={Escape(value)}";

    // Braces are for the number of entries.
    private static string Escape(string? value) => Uri.EscapeDataString(value ?? "");
}
