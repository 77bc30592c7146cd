namespace Mqtt5.Cli;

/// <summary>The options of mosquitto that this broker has no counterpart for, and those that change nothing here.</summary>
internal static class MosquittoOptionNames
{
    /// <summary>Without a counterpart; a broker without them would be less protected, or would show clients other topics.</summary>
    public static readonly IReadOnlyDictionary<string, string> Refused = new Dictionary<string, string>
    {
        ["auth_plugin"] = "plugins are not loaded",
        ["plugin"] = "plugins are not loaded",
        ["global_plugin"] = "plugins are not loaded",
        ["plugin_load"] = "plugins are not loaded",
        ["plugin_use"] = "plugins are not loaded",
        ["psk_file"] = "pre-shared keys are not supported; use certificates",
        ["psk_hint"] = "pre-shared keys are not supported; use certificates",
        ["bind_interface"] = "a listener is bound to an address, not to a device; name the address behind the port",
        ["mount_point"] = "topics have no prefix by listener",
        ["clientid_prefixes"] = "Client Identifiers are not bound by a prefix; use rules with %c",
        ["use_username_as_clientid"] = "a client keeps its own Client Identifier; --client-id-is-user-name refuses clients whose identifier is another",
        ["use_subject_as_username"] = "only the common name of a certificate can be the user name: use_identity_as_username",
        ["crlfile"] = "revocation lists are not read from a file",
        ["ciphers"] = "cipher suites are those of the operating system",
        ["ciphers_tls1.3"] = "cipher suites are those of the operating system",
        ["disable_client_cert_date_checks"] = "an expired certificate is always refused",
        ["tls_engine"] = "keys are read from files only",
        ["tls_engine_kpass_sha1"] = "keys are read from files only",
        ["listener_allow_anonymous"] = "use per_listener_settings, and allow_anonymous below the listener",
        ["listener_auto_id_prefix"] = "assigned Client Identifiers begin with auto-",
    };

    /// <summary>Without a counterpart, and clients are served without it.</summary>
    public static readonly IReadOnlyDictionary<string, string> Missing = new Dictionary<string, string>
    {
        ["http_dir"] = "no files are served by HTTP",
        ["memory_limit"] = "memory is bounded by the limits of the broker; see the guide",
        ["message_size_limit"] = "only whole packets are bounded: max_packet_size",
        ["upgrade_outgoing_qos"] = "a message never gets a higher QoS than it was published with [MQTT-3.8.4-8]",
        ["log_facility"] = "the log goes to standard error, which systemd and containers collect",
        ["pid_file"] = "there is no file with the process identifier",
        ["user"] = "the process keeps the user that started it; let systemd or the container choose one",
        ["enable_control_api"] = "there are no control topics",
        ["websockets_origin"] = "use --ws-origins",
    };

    /// <summary>They change nothing here, because it is always so, or because there is nothing to adjust.</summary>
    public static readonly IReadOnlySet<string> WithoutEffect = new HashSet<string>
    {
        "allow_duplicate_messages", "autosave_interval", "autosave_on_changes", "check_retain_source", "connection_messages",
        "dhparamfile", "log_timestamp", "log_timestamp_format", "max_inflight_bytes", "packet_buffer_size", "persistence_file",
        "set_tcp_nodelay", "socket_domain", "tls_keyform", "websockets_headers_size", "websockets_log_level",
    };

    /// <summary>They belong to a bridge.</summary>
    public static bool IsOfBridge(string name) =>
        name.StartsWith("bridge_", StringComparison.Ordinal) || name.StartsWith("local_", StringComparison.Ordinal)
        || name.StartsWith("remote_", StringComparison.Ordinal) || name.StartsWith("notification", StringComparison.Ordinal)
        || name is "connection" or "address" or "addresses" or "topic" or "cleansession" or "clientid" or "idle_timeout" or "keepalive_interval"
            or "password" or "restart_timeout" or "round_robin" or "start_type" or "threshold" or "try_private" or "username";
}
