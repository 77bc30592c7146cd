namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 passwd</c> is asked for.</summary>
/// <param name="File">The password file.</param>
/// <param name="Name">The User Name; null: those of the file to import.</param>
/// <param name="Delete">Whether the name goes.</param>
/// <param name="ScramIterations">How often the password is hashed for SCRAM-SHA-256; null: it is not for that.</param>
/// <param name="Import">A password file whose lines are taken over; null: none.</param>
internal sealed record PasswordRequest(string File, string? Name, bool Delete, int? ScramIterations, string? Import);
