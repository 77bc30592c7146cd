namespace Mqtt5.Admin;

/// <summary>What an operator may do; each role may what those before it may.</summary>
public enum MqttAdminRole
{
    /// <summary>Look: every read, events and metrics.</summary>
    Viewer,

    /// <summary>Also disconnect clients, publish, and delete retained messages.</summary>
    Operator,

    /// <summary>Also end sessions.</summary>
    Administrator,
}
