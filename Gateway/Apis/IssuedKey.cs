namespace Fanfare.Gateway.Apis;

/// <summary>An API key in plain, as the process that made, derived or was given it may show it at the start. Not kept beyond that.</summary>
/// <param name="ApiId">The id of the API it belongs to.</param>
/// <param name="Value">The key.</param>
/// <param name="Expires">When it stops working; <see langword="null"/> means never.</param>
internal sealed record IssuedKey(string ApiId, string Value, DateTimeOffset? Expires)
{
    /// <summary>Describes the key without its value.</summary>
    public override string ToString() => $"IssuedKey {{ ApiId = {ApiId}, Expires = {Expires:u} }}";

    /// <summary>The key as the served model knows it.</summary>
    public ApiKey ToApiKey(string? description = null) =>
        new() { Hash = ApiKey.ComputeHash(Value), Description = description, Expires = Expires };
}
