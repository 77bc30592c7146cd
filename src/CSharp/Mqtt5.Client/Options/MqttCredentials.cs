using System.Text;

namespace Mqtt5;

/// <summary>A user name and a password. Either may be absent, and either may be empty, which is not the same.</summary>
public sealed class MqttCredentials
{
    /// <summary>The User Name; null: none.</summary>
    public string? UserName { get; init; }

    /// <summary>The Password; null: none. It never shows in logs or exceptions.</summary>
    public ReadOnlyMemory<byte>? Password { get; init; }

    /// <summary>Credentials of a user name and a password that is sent in UTF-8.</summary>
    /// <param name="userName">The User Name; null: none.</param>
    /// <param name="password">The Password; null: none.</param>
    /// <returns>The credentials.</returns>
    public static MqttCredentials Of(string? userName, string? password) =>
        new() { UserName = userName, Password = password is null ? default(ReadOnlyMemory<byte>?) : Encoding.UTF8.GetBytes(password) };
}
