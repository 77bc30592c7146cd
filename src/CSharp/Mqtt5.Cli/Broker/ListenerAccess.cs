namespace Mqtt5.Cli;

/// <summary>Who may connect at a listener, and what clients may do there.</summary>
/// <param name="Name">The name of the listener.</param>
/// <param name="PasswordFile">The password file; null: no client is asked for a password.</param>
/// <param name="AclFile">An ACL file of mosquitto; null: everything is allowed.</param>
/// <param name="AllowAnonymous">Whether clients may stay anonymous.</param>
internal sealed record ListenerAccess(string Name, string? PasswordFile, string? AclFile, bool AllowAnonymous);
