using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Cli;

/// <summary>Reads a configuration of mosquitto, and what it does not say it takes as mosquitto does.</summary>
internal sealed class MosquittoConfiguration
{
    private const int Unlimited = int.MaxValue;
    private const int LargestPacket = 268_435_455;
    private const string StoreFolder = "mqtt5";

    private readonly BrokerRequest request;
    private readonly List<MosquittoListener> listeners = [];
    private readonly List<string> warnings = [];
    private readonly MosquittoListener ofDefault = new();
    private MosquittoListener current;
    private LogLevel? level;
    private bool? allowsAnonymous;
    private bool isPerListener;
    private bool isBridge;
    private MosquittoLine? persistence;
    private string persistenceFolder = "";

    private MosquittoConfiguration(BrokerRequest request)
    {
        this.request = request;
        current = ofDefault;
    }

    /// <summary>Puts what the file says into a request.</summary>
    /// <returns>A line for each option that has no counterpart and without which clients are served all the same.</returns>
    /// <exception cref="UsageException">A file cannot be used, or an option has no counterpart that matters; the message names file, line and reason.</exception>
    public static IReadOnlyList<string> Apply(string file, BrokerRequest request)
    {
        var configuration = new MosquittoConfiguration(request);
        configuration.SetDefaults();

        foreach (var line in MosquittoLine.Read(file))
            configuration.Take(line);

        configuration.Finish(file);
        return configuration.warnings;
    }

    private void SetDefaults()
    {
        Limit(LimitName.MaximumPacketBytes, LargestPacket);
        Limit(LimitName.InFlightMessages, 20);
        Limit(LimitName.ReceiveMaximum, 20);
        Limit(LimitName.QueuedMessages, 1_000);
        Limit(LimitName.SessionExpiry, uint.MaxValue);
    }

    private void Take(MosquittoLine line)
    {
        if (line.Name == "listener")
        {
            isBridge = false;
            current = MosquittoListener.Of(line);
            listeners.Add(current);
        }
        else if (MosquittoOptionNames.IsOfBridge(line.Name))
        {
            if (!isBridge || line.Name == "connection")
                warnings.Add($"{line.Place}: bridges are not supported yet; its lines are passed over");

            isBridge = true;
        }
        else if (line.Name.StartsWith("plugin_opt_", StringComparison.Ordinal) || line.Name.StartsWith("auth_opt_", StringComparison.Ordinal))
        {
            throw line.Fault("plugins are not loaded");
        }
        else if (MosquittoOptionNames.Refused.TryGetValue(line.Name, out var reason))
        {
            // Switched off, it asks for nothing.
            if (line.Value != "false")
                throw line.Fault(reason);
        }
        else if (MosquittoOptionNames.Missing.TryGetValue(line.Name, out var note))
        {
            if (line.Value is not ("false" or "0"))
                warnings.Add($"{line.Place}: {note}");
        }
        else if (!MosquittoOptionNames.WithoutEffect.Contains(line.Name)
            // The port is always that of the default listener.
            && !(line.Name == "port" ? ofDefault : current).Take(line) && !TakeGlobal(line))
        {
            throw line.Fault("there is no such option");
        }
    }

    private bool TakeGlobal(MosquittoLine line)
    {
        switch (line.Name)
        {
            case "per_listener_settings":
                if (line.IsTrue && listeners.Count > 0)
                    throw line.Fault("it has to come before the listeners");

                isPerListener = line.IsTrue;
                break;
            case "allow_anonymous":
                if (isPerListener)
                    current.AllowsAnonymous = line.IsTrue;
                else
                    allowsAnonymous = line.IsTrue;
                break;
            case "password_file":
                if (isPerListener)
                    current.PasswordFile = line.FileName;
                else
                    request.PasswordFile = line.FileName;
                break;
            case "acl_file":
                if (isPerListener)
                    current.AclFile = line.FileName;
                else
                    request.MosquittoAclFile = line.FileName;
                break;
            case "allow_zero_length_clientid":
                request.AssignsClientIds = line.IsTrue;
                break;
            case "auto_id_prefix":
                if (line.Value != "auto-")
                    warnings.Add($"{line.Place}: assigned Client Identifiers begin with auto-");
                break;
            case "max_inflight_messages":
                var inFlight = line.Number64(0, ushort.MaxValue) is var given and > 0 ? given : ushort.MaxValue;
                Limit(LimitName.InFlightMessages, inFlight);
                Limit(LimitName.ReceiveMaximum, inFlight);
                break;
            case "max_queued_messages":
                Limit(LimitName.QueuedMessages, OrUnlimited(line.Number64(0, Unlimited)));
                break;
            case "max_queued_bytes":
                if (line.Number64(0, long.MaxValue) is var bytes and > 0)
                    Limit(LimitName.QueuedBytes, bytes);
                break;
            case "max_packet_size":
                Limit(LimitName.MaximumPacketBytes, line.Number64(0, LargestPacket) is var size and > 0 ? size : LargestPacket);
                break;
            case "max_keepalive":
                Limit(LimitName.KeepAlive, line.Number64(0, ushort.MaxValue));
                break;
            case "global_max_clients":
                if (line.Number64(-1, Unlimited) is var clients and > 0)
                    Limit(LimitName.Sessions, clients);
                break;
            case "global_max_connections":
                if (line.Number64(-1, Unlimited) is var connections and > 0)
                    Limit(LimitName.Connections, connections);
                break;
            case "max_topic_alias_broker":
                Limit(LimitName.OutboundTopicAliases, line.Number64(0, ushort.MaxValue));
                break;
            case "persistent_client_expiration":
                Limit(LimitName.SessionExpiry, Seconds(line));
                break;
            case "queue_qos0_messages":
                request.QueuesQoS0 = line.IsTrue;
                break;
            case "retain_available":
                request.RetainAvailable = line.IsTrue;
                break;
            case "sys_interval":
                request.SystemTopicsInterval = TimeSpan.FromSeconds(line.Number64(0, ushort.MaxValue));
                break;
            case "log_type":
                level = Least(level, LevelOf(line));
                break;
            case "log_dest":
                TakeDestination(line);
                break;
            case "persistence":
                persistence = line.IsTrue ? line : null;
                break;
            case "persistence_location":
                persistenceFolder = line.FileName;
                break;
            default:
                return false;
        }

        return true;
    }

    private void TakeDestination(MosquittoLine line)
    {
        if (line.Value == "none")
            level = LogLevel.None;
        else if (line.Value is not ("stderr" or "stdout"))
            warnings.Add($"{line.Place}: the log goes to standard error, which systemd and containers collect");
    }

    private void Finish(string file)
    {
        if (ofDefault.Port is not null || ofDefault.Unix is not null)
            listeners.Insert(0, ofDefault);

        if (persistence is not null)
        {
            request.Store = Path.Combine(persistenceFolder, StoreFolder);
            warnings.Add($"{persistence.Place}: sessions and messages are kept in {request.Store}; the database of mosquitto is not read");
        }

        // Without a listener mosquitto serves this machine only, and anonymous clients too.
        var isLocal = listeners.Count == 0;
        request.AllowAnonymous = allowsAnonymous ?? isLocal;
        request.LogLevel = level ?? LogLevel.Information;

        if (isLocal)
            listeners.Add(ofDefault);

        request.IdentityIsUserName = OneOf(file, "use_identity_as_username", listeners.Where(one => one.RequiresCertificate), one => one.IdentityIsUserName);
        request.MaximumQoS = OneOf(file, "max_qos", listeners, one => one.MaximumQoS);
        Limit(LimitName.TopicAliasMaximum, OneOf(file, "max_topic_alias", listeners, one => one.TopicAliases));

        if (listeners.All(one => one.MaximumConnections is not null))
            Limit(LimitName.Connections, Math.Min(Unlimited, listeners.Sum(one => one.MaximumConnections!.Value)));
        else if (listeners.Any(one => one.MaximumConnections is not null))
            warnings.Add($"{file}: max_connections: it counts for all listeners together, and not all of them have one");

        request.Listeners.AddRange(listeners.Select(one => one.ToRequest(isLocal ? IPAddress.Loopback : IPAddress.IPv6Any, isPerListener && !isLocal)));

        if (isPerListener && listeners.Find(one => !isLocal && one.PasswordFile is null && one.AllowsAnonymous is not true && !one.IdentityIsUserName) is { } closed)
            throw new UsageException($"{file}: no client could connect at the listener {closed.Place}: it has neither password_file nor allow_anonymous true");

        if (!request.AllowAnonymous && !request.HasAuthentication)
            throw new UsageException($"{file}: no client could connect: it has neither password_file nor allow_anonymous true");
    }

    private static T OneOf<T>(string file, string option, IEnumerable<MosquittoListener> of, Func<MosquittoListener, T> read)
    {
        var all = of.Select(read).Distinct().ToArray();
        return all.Length < 2
            ? all.FirstOrDefault()!
            : throw new UsageException($"{file}: {option}: it is the same for all listeners here, and they have different values; run a broker for each");
    }

    private void Limit(LimitName name, long value)
    {
        if (LimitTable.Problem(name, value) is { IsSome: true, Value: var problem })
            throw new UsageException($"--mosquitto-config: {name}: {problem}");

        request.Limits[name] = value;
    }

    private static long OrUnlimited(long value) => value > 0 ? value : Unlimited;

    // A number and its unit: h, d, w, m or y.
    private static long Seconds(MosquittoLine line)
    {
        var hours = line.Value.Length < 2 ? 0 : line.Value[^1] switch
        {
            'h' => 1,
            'd' => 24,
            'w' => 7 * 24,
            'm' => 30 * 24,
            'y' => 365 * 24,
            _ => 0,
        };

        if (hours == 0 || !ushort.TryParse(line.Value[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number == 0)
            throw line.Fault($"'{line.Value}' is no number with one of h, d, w, m and y behind it");

        return Math.Min(uint.MaxValue, 3_600L * hours * number);
    }

    private static LogLevel LevelOf(MosquittoLine line) => line.Value switch
    {
        "all" or "debug" or "websockets" or "subscribe" or "unsubscribe" or "internal" => LogLevel.Debug,
        "information" or "notice" => LogLevel.Information,
        "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        "none" => LogLevel.None,
        _ => throw line.Fault($"'{line.Value}' is no kind of message: error, warning, notice, information, subscribe, unsubscribe, websockets, none or all"),
    };

    private static LogLevel Least(LogLevel? one, LogLevel other) => one is { } known && known < other ? known : other;
}
